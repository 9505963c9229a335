//! `ringfence explain`: one connection, and everything behind its verdict.

mod machine;
mod words;

use std::io::Write;

use anyhow::Context;
use synth::evaluate::Decision;
use synth::explain::{PortName, explain, find, server};
use synth::inventory::Inventory;
use synth::policy::PolicySet;

use crate::args::{ExplainArgs, ExplainFormat};
use crate::exit::Exit;
use crate::input::Unnamed;
use crate::{input, summary};

/// What the indices in verdicts refer to, and what was asked.
struct Asked<'a> {
    inventory: &'a Inventory,
    set: PolicySet<'a>,
    client: &'a str,
    server: &'a str,
    protocol: synth::port::Protocol,
}

/// Runs the command.
pub(crate) fn run(args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<Exit> {
    let (name, port, protocol) = server(&args.server)?;
    let port = PortName::parse(port).with_context(|| format!("{}: {port} is no port", args.server))?;
    let cluster = input::cluster(&args.cluster, Unnamed::Live, args.quiet)?;
    let proposed = input::proposed(&args.policies)?;
    let inventory = &cluster.inventory;
    let set = input::policies(inventory, proposed.as_ref().map(|proposed| &proposed.inventory));
    let namespace = args.namespace.as_deref();
    let (client, server) = (find(&args.client, namespace, inventory)?, find(name, namespace, inventory)?);
    let explanation = explain(set, inventory, (&args.plugin).into(), &client, &server, protocol, port)?;
    let asked = Asked { inventory, set, client: &args.client, server: name, protocol };
    match args.output {
        ExplainFormat::Text => words::write(&asked, &explanation, out)?,
        ExplainFormat::Json => machine::write(&asked, &explanation, out)?,
    }
    out.flush()?;
    let refused = summary::objects(&cluster, proposed.as_ref())?;
    if !args.quiet {
        summary::unused(&cluster, proposed.as_ref())?;
    }
    Ok(match (refused, explanation.decision()) {
        (true, _) => Exit::Unusable,
        (false, Decision::Allowed) => Exit::Fine,
        (false, Decision::Unknown | Decision::Denied) => Exit::Findings,
    })
}
