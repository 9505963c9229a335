use crate::args::DiffArgs;
use crate::exit::Exit;
pub(crate) fn run(_: &DiffArgs, _: &mut impl std::io::Write) -> anyhow::Result<Exit> {
    anyhow::bail!("x")
}
