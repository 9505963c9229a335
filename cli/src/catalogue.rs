//! All rules that findings can be of, by command.

use synth::check::Kind;
use synth::lint::{self, Id};
use synth::unused::Status;
use synth::watchlist::rule::{self, Watchlist};

use crate::finding::{Rule, Severity};
use crate::ignore;

/// Every rule of every command.
pub(crate) fn all() -> Vec<Rule> {
    let mut rules = check();
    // Both find what is not enforced.
    rules.extend(unused().into_iter().filter(|rule| rule.id != Status::NotEnforced.name()));
    rules.extend(lint());
    rules.extend(Watchlist::built_in().iter().flat_map(exposures));
    rules.push(ignore::rule());
    rules
}

/// What `check` finds.
pub(crate) fn check() -> Vec<Rule> {
    [Kind::WouldDeny, Kind::NotEnforced, Kind::Broken, Kind::Uncovered].map(of_check).to_vec()
}

fn of_check(kind: Kind) -> Rule {
    let (summary, description) = match kind {
        Kind::WouldDeny => (
            "the policies would deny what was seen working",
            "These connections were established, and the policies deny them. Allow them, or make sure that nobody needs them.",
        ),
        Kind::NotEnforced => (
            "seen working although denied",
            "Policies older than these connections deny them, and they were established all the same: the network plugin does not enforce the policies.",
        ),
        Kind::Broken => (
            "worked until the policies came",
            "These connections worked before policies that deny them came, and only failed since. Allow them, or tell their owner.",
        ),
        Kind::Uncovered => (
            "no policy speaks about it",
            "No policy isolates the client for egress or the server for ingress, so everything is allowed between them.",
        ),
    };
    Rule::new(kind.name(), severity(kind), summary, description)
}

/// How much a finding of `check` matters.
pub(crate) fn severity(kind: Kind) -> Severity {
    match kind {
        Kind::WouldDeny | Kind::NotEnforced | Kind::Broken => Severity::Error,
        Kind::Uncovered => Severity::Warning,
    }
}

/// What `unused` finds, and what it would find if enough had been watched.
pub(crate) fn unused() -> Vec<Rule> {
    let rule = |status: Status| {
        let (summary, description) = match status {
            Status::Unused => (
                "no observed flow needs it",
                "Everything that was seen working is allowed without this rule, peer or port. Delete it, unless something that is seldom needed uses it.",
            ),
            Status::Dead => (
                "it selects nothing that exists",
                "No pod and no workload of the cluster matches this selector, or no pod has a port of this name. Mend the selector, or delete it.",
            ),
            Status::Redundant => (
                "everything that it allows is allowed elsewhere",
                "Its deletion changes nothing that the policies allow or deny.",
            ),
            Status::Overbroad => (
                "used, but by few of those that it is for",
                "Only a small part of what it allows was used. Write down what would suffice instead.",
            ),
            Status::NotEnforced => (
                "it denies what works all the same",
                "Connections younger than the policy were established although it denies them: the network plugin does not enforce it.",
            ),
        };
        Rule::new(status.name(), unused_severity(status), summary, description)
    };
    let insufficient = Rule::new(
        INSUFFICIENT,
        Severity::Note,
        "not enough was watched to act on it",
        "It looks unused or too broad, and the traffic that was watched does not suffice to say so.",
    );
    Status::ALL.map(rule).into_iter().chain([insufficient]).collect()
}

/// The rule of findings below the evidence gate.
pub(crate) const INSUFFICIENT: &str = "insufficient_evidence";

/// How much a finding of `unused` matters.
pub(crate) fn unused_severity(status: Status) -> Severity {
    match status {
        Status::NotEnforced => Severity::Error,
        Status::Unused | Status::Dead | Status::Redundant | Status::Overbroad => Severity::Warning,
    }
}

/// What `lint` finds.
pub(crate) fn lint() -> Vec<Rule> {
    let rule = |id: Id| {
        let description = format!("{}.", id.summary());
        Rule::new(id.name(), id.severity().into(), id.summary(), &description)
    };
    Id::ALL.map(rule).to_vec()
}

/// What `check --exposures` finds, beside the rest.
pub(crate) fn exposures(list: &Watchlist) -> Vec<Rule> {
    let rule = |rule: &rule::Rule| {
        let description = format!("{} {}", rule.why, rule.fix);
        Rule::new(&exposure_id(rule), rule.severity.into(), &rule.title, &description)
    };
    list.rules.iter().map(rule).collect()
}

/// `exposure/etcd-access`.
pub(crate) fn exposure_id(rule: &rule::Rule) -> String {
    format!("exposure/{}", rule.id)
}

impl From<rule::Severity> for Severity {
    fn from(severity: rule::Severity) -> Severity {
        match severity {
            rule::Severity::Error => Severity::Error,
            rule::Severity::Warning => Severity::Warning,
            rule::Severity::Note => Severity::Note,
        }
    }
}

impl From<lint::Severity> for Severity {
    fn from(severity: lint::Severity) -> Severity {
        match severity {
            lint::Severity::Error => Severity::Error,
            lint::Severity::Warning => Severity::Warning,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_words_and_differ() {
        let all = all();
        let ids: BTreeSet<&str> = all.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids.len(), all.len());
        for rule in &all {
            let fits = |c: char| c.is_ascii_lowercase() || "-_/".contains(c);
            assert!(rule.id.chars().all(fits), "{}", rule.id);
            assert!(!rule.summary.ends_with('.') && rule.description.ends_with('.'), "{rule:?}");
        }
    }
}
