//! The headline: whether the policies can be put in force.

use std::collections::BTreeSet;

use synth::check::Kind;
use synth::completeness::{HOUR, State};
use synth::platform::Limit;
use synth::render::count;
use synth::unused::gate::shortcomings;

use super::change::Change;
use super::facts::Facts;
use crate::exit::Exit;

/// What a report comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing that was seen is denied, and enough was.
    Safe,
    /// Something that was seen working would be denied.
    Denies,
    /// Nothing that was seen is denied, but too little was.
    Insufficient,
    /// Parts of the input could not be read, so that nothing else can be said.
    Unread,
    /// Policies in force do not do what they say.
    Findings,
    /// There are no policies to judge.
    Observed,
}

impl Status {
    /// The word of the report's data.
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::Safe => "safe",
            Status::Denies => "denies",
            // The page knows one word for what cannot be said.
            Status::Insufficient | Status::Unread => "insufficient",
            Status::Findings => "findings",
            Status::Observed => "observed",
        }
    }
}

/// A status and its words.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) status: Status,
    /// One line.
    pub(super) headline: String,
    /// One sentence or two.
    pub(super) detail: String,
    /// Whether something opens that nobody was seen to need.
    pub(super) opens: bool,
    /// Why the evidence does not suffice.
    pub(super) missing: Vec<String>,
}

impl Verdict {
    /// The exit code of the command.
    pub(super) fn exit(&self) -> Exit {
        match self.status {
            Status::Safe | Status::Observed => Exit::Fine,
            Status::Denies | Status::Findings => Exit::Findings,
            Status::Insufficient => Exit::Insufficient,
            Status::Unread => Exit::Unusable,
        }
    }
}

/// Comes to a verdict.
pub(super) fn verdict(facts: &Facts<'_>, change: Option<&Change>) -> Verdict {
    let of = |kind: Kind| facts.edges().filter(|finding| finding.kind == kind).count() as u64;
    let (denied, broken, unenforced) = (of(Kind::WouldDeny), of(Kind::Broken), of(Kind::NotEnforced));
    let nothing_enforces = facts.limits.iter().find(|finding| finding.limit == Limit::NotEnforced);
    let missing = missing(facts);
    let edges = facts.graph.edges().count() as u64;
    let seen = format!("{} with {} were seen", count(edges, "edge"), count(facts.doubts.conversations, "connection"));
    let (status, headline, detail) = if !facts.refused.is_empty() {
        let rest = if denied > 0 {
            format!(" Of the rest, {} would be denied.", count(denied, "observed edge"))
        } else {
            String::new()
        };
        (
            Status::Unread,
            "Not all of the input could be read".to_string(),
            format!("So nothing can be said about the whole: {}.{rest}", some(&facts.refused)),
        )
    } else if facts.set.is_empty() && facts.change.is_none() {
        (Status::Observed, "No policies to judge".to_string(), format!("{seen}; everything is allowed."))
    } else if denied > 0 {
        let shown: BTreeSet<_> = facts.edges().map(|finding| &finding.edge.key).collect();
        let newly = facts
            .change
            .as_ref()
            .map(|change| change.stopped.iter().filter(|stopped| shown.contains(&stopped.edge.key)).count() as u64);
        let detail = match newly {
            Some(newly) if newly < denied => {
                let rest = denied - newly;
                format!(
                    "{} denied today already, {} by this change. {seen}.",
                    plural(rest, "is", "are"),
                    plural(newly, "is", "are")
                )
            }
            _ => format!("{seen}."),
        };
        (Status::Denies, format!("Would deny {}", count(denied, "observed edge")), detail)
    } else if let Some(nothing) = nothing_enforces {
        (Status::Findings, "Nothing enforces these policies".to_string(), format!("{}. {seen}.", nothing.message))
    } else if broken + unenforced > 0 {
        let headline = match (broken, unenforced) {
            (0, unenforced) => format!("{} although denied", plural(unenforced, "edge works", "edges work")),
            (broken, _) => {
                format!("{} by the policies in force", plural(broken, "edge was broken", "edges were broken"))
            }
        };
        (Status::Findings, headline, format!("{seen}."))
    } else if !missing.is_empty() {
        let detail = format!("Nothing that was seen is denied, but that says little: {}.", missing.join("; "));
        (Status::Insufficient, "Insufficient evidence".to_string(), detail)
    } else {
        // Safe is what breaks nothing; what it opens is for whoever reads to judge.
        let opens = change.map_or(0, Change::unneeded) as u64;
        let (headline, more) = match (facts.proposed, opens) {
            (false, _) => ("Nothing that was seen is denied".to_string(), String::new()),
            (true, 0) => ("Safe to merge".to_string(), String::new()),
            (true, opens) => (
                format!("Safe to merge, but opens what nobody was seen to need ({})", crate::summary::number(opens)),
                " What opens is listed.".to_string(),
            ),
        };
        let denied = match facts.ignored_denials as u64 {
            0 => "none is denied".to_string(),
            ignored => format!("{} denied and ignored (--ignore)", plural(ignored, "is", "are")),
        };
        (Status::Safe, headline, format!("{seen}, and {denied}.{more}"))
    };
    Verdict { status, headline, detail, opens: change.is_some_and(|change| change.unneeded() > 0), missing }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", crate::summary::number(count), if count == 1 { one } else { many })
}

/// Why silence means little.
fn missing(facts: &Facts<'_>) -> Vec<String> {
    let mut missing = shortcomings(&facts.gate, &facts.coverage.watch);
    if let Some(learned) = facts.learned
        && learned.window.watched() >= HOUR
        && learned.total.state == State::Learning
        && learned.total.edges > 0
    {
        missing.push(format!("still {}", crate::completeness::sentence(&learned.total, &learned.window)));
    }
    if let Some(change) = &facts.change {
        let mut silent: Vec<String> = change
            .diff
            .isolated
            .iter()
            .map(|(workload, _)| *workload)
            .filter(|workload| !facts.was_seen(workload))
            .map(ToString::to_string)
            .collect();
        silent.dedup();
        if !silent.is_empty() {
            missing.push(format!("isolated from now on, and nothing of them was seen: {}", some(&silent)));
        }
    }
    missing
}

/// The first few of many.
pub(super) fn some(all: &[String]) -> String {
    const SHOWN: usize = 5;
    match all.len() {
        count if count > SHOWN + 1 => format!("{} and {} more", all[..SHOWN].join(", "), count - SHOWN),
        _ => all.join(", "),
    }
}
