//! `volatile-label`: selectors that hold until the next rollout.

use super::{Context, Findings, Id, peer_line, rules};
use crate::inventory::is_volatile;
use crate::label::{Requirement, Selector};
use crate::policy::{Peer, Peers, Policy};

pub(super) fn check(context: &Context<'_>, policy: &Policy, found: &mut Findings) {
    let mut selectors = vec![(policy.subject_line, &policy.subject)];
    for (_, _, rule) in rules(policy) {
        let Peers::Any(list) = &rule.peers else { continue };
        selectors.extend(list.iter().enumerate().filter_map(|(at, peer)| match peer {
            Peer::Pods { pods, .. } => Some((peer_line(rule, at), pods)),
            Peer::Block(_) => None,
        }));
    }
    for (line, selector) in selectors {
        let volatile: Vec<&Requirement> =
            selector.requirements().filter(|requirement| changes(context, policy, requirement)).collect();
        let Some(first) = volatile.first() else { continue };
        let rest: Selector =
            selector.requirements().filter(|requirement| !volatile.contains(requirement)).cloned().collect();
        let what = if first.key().contains("job-name") || first.key().contains("controller-uid") {
            "is new with every run"
        } else {
            "changes with the next rollout"
        };
        let fix = if rest.is_everything() {
            match stable(context, selector) {
                Some(selector) => format!("select by {selector}"),
                None => "select by a label of the pod template that stays".to_string(),
            }
        } else {
            format!("leave it out: {rest} is what stays")
        };
        found.add(
            Id::VolatileLabel,
            policy,
            line,
            format!("the label {first} {what}, and is matched by no pod then"),
            fix,
        );
    }
}

/// Whether a value that is asked for goes away. A StatefulSet's pod names and indices stay, and so does a Job's name
/// unless a CronJob made it; the mere presence of a key stays too.
fn changes(context: &Context<'_>, policy: &Policy, requirement: &Requirement) -> bool {
    let Requirement::In { key, values } = requirement else { return false };
    let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
    match name {
        "pod-name" | "pod-index" | "job-completion-index" => false,
        "job-name" => values.iter().any(|job| {
            let Some((cron, minute)) = job.rsplit_once('-') else { return false };
            let workload = crate::endpoint::Workload {
                namespace: policy.namespace.clone(),
                kind: "CronJob".to_string(),
                name: cron.to_string(),
            };
            minute.bytes().all(|byte| byte.is_ascii_digit())
                && context.input.inventory.workloads.contains_key(&workload)
        }),
        _ => is_volatile(key),
    }
}

/// What selects the workload that the selector matches today.
fn stable(context: &Context<'_>, selector: &Selector) -> Option<Selector> {
    let index = &context.index;
    let group = index.across(&Selector::everything(), selector).next()?;
    let info = context.input.inventory.workloads.get(&index.pod(group).workload)?;
    let selector = info.selector.clone().unwrap_or_else(|| Selector::from_labels(&info.labels));
    (!selector.is_everything()).then_some(selector)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fixes, pod, policy};

    #[test]
    fn labels_that_go() {
        let cluster = pod("x", "web-1", "app: web, pod-template-hash: 5d9c, app.kubernetes.io/version: \"2\"")
            + &pod("x", "db-0", "statefulset.kubernetes.io/pod-name: db-0")
            + &pod("x", "import", "job-name: import-7");
        for (labels, expected) in [
            ("app: web", vec![]),
            ("pod-template-hash: 5d9c", vec!["volatile-label: select by app=web"]),
            ("app: web, app.kubernetes.io/version: \"2\"", vec!["volatile-label: leave it out: app=web is what stays"]),
            ("statefulset.kubernetes.io/pod-name: db-0", vec![]),
            ("job-name: import-7", vec![]),
        ] {
            let selector = format!("{{podSelector: {{matchLabels: {{{labels}}}}}}}");
            assert_eq!(fixes(&[policy("x", "a", &selector), cluster.clone()]), expected, "{labels}");
        }
        let exists = "{podSelector: {matchExpressions: [{key: job-name, operator: Exists}]}}";
        assert!(fixes(&[policy("x", "a", exists), cluster]).is_empty(), "presence stays");
    }

    #[test]
    fn runs_of_a_cron_job() {
        let cron = "kind: CronJob\nmetadata: {name: report, namespace: x}\nspec: {jobTemplate: {spec: {template: {metadata: \
                    {labels: {app: report, job-name: report-29541735}}, spec: {containers: []}}}}}\n";
        let by_name = policy("x", "a", "{podSelector: {matchLabels: {job-name: report-29541735}}}");
        assert_eq!(fixes(&[by_name, cron.to_string()]), ["volatile-label: select by app=report"]);
    }
}
