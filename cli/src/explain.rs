use crate::args::ExplainArgs;
use crate::exit::Exit;
pub(crate) fn run(_: &ExplainArgs, _: &mut impl std::io::Write) -> anyhow::Result<Exit> {
    anyhow::bail!("x")
}
