use super::*;
use crate::inventory::Options;
use crate::synthesize::Notes;

const CLUSTER: &str = "
{kind: Namespace, metadata: {name: staging-shop}}
---
{kind: Namespace, metadata: {name: staging-db}}
---
{kind: Namespace, metadata: {name: kube-system}}
---
{kind: Node, metadata: {name: a}, spec: {podCIDR: 10.1.0.0/24}, status: {addresses: [{address: 192.168.0.1}]}}
";

fn inventory() -> Inventory {
    let mut objects = Objects::default();
    objects.load("cluster", CLUSTER);
    Inventory::build(&objects, &Options::default())
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| pair.split_once('=').map(|(from, to)| (from.to_string(), to.to_string())).unwrap();
    text.split_whitespace().map(pair).collect()
}

#[test]
fn one_to_one() {
    let inventory = inventory();
    for (text, words) in [
        ("staging-shop=shop", ""),
        ("staging-shop=shop staging-db=db", ""),
        ("staging-shop=staging-shop", ""),
        ("staging-shop=shop staging-shop=shop", ""),
        ("staging-shop=staging-db staging-db=staging-shop", ""),
        ("staging-shop=shop staging-shop=store", "both shop and store"),
        ("staging-shop=shop staging-db=shop", "staging-shop and staging-db cannot both be shop"),
        ("staging-shop=staging-db", "has a namespace staging-db too"),
        ("nobody=shop", "no namespace nobody"),
    ] {
        let error = Mapping::new(&pairs(text), &inventory).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(words) && error.is_empty() == words.is_empty(), "{text}: {error}");
    }
}

fn planned(policy: &str) -> Planned {
    let mut objects = Objects::default();
    objects.load("policy", policy);
    assert_eq!(objects.problems, []);
    let policy = objects.policies.pop().unwrap().without_places();
    let notes = |rules: Option<&[crate::policy::Rule]>| vec![Notes::default(); rules.map_or(0, <[_]>::len)];
    let (ingress, egress) = (notes(policy.ingress.as_deref()), notes(policy.egress.as_deref()));
    Planned { policy, workloads: Vec::new(), header: Vec::new(), ingress, egress }
}

fn policy(namespace: &str, egress: &str) -> Planned {
    planned(&format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: {namespace}, name: web}}\n\
         spec: {{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{{to: [{egress}]}}]}}\n"
    ))
}

fn pods(namespace: &str) -> String {
    format!("{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}, podSelector: {{}}}}")
}

fn block(cidr: &str) -> String {
    format!("{{ipBlock: {{cidr: {cidr}}}}}")
}

/// A peer as it was learned, as it is written, and what is said of it.
#[test]
fn peers() {
    let inventory = inventory();
    let mapping = Mapping::new(&pairs("staging-shop=shop staging-db=db"), &inventory).unwrap();
    for (learned, written, finding) in [
        ("{podSelector: {}}", "{podSelector: {}}", ""),
        (&pods("staging-db"), &pods("db"), ""),
        (&pods("kube-system"), &pods("kube-system"), "pods of kube-system, taken to have this name"),
        (
            &block("203.0.113.7/32"),
            &block("203.0.113.7/32"),
            "egress rule 0 has addresses of the learning cluster: 203.0.113.7/32 (outside)",
        ),
        (&block("192.168.0.1/32"), &block("192.168.0.1/32"), "192.168.0.1/32 (node a)"),
        (&block("169.254.20.10/32"), &block("169.254.20.10/32"), ""),
        (&block("0.0.0.0/0"), &block("0.0.0.0/0"), ""),
        (
            "{ipBlock: {cidr: 0.0.0.0/0, except: [10.1.0.0/24]}}",
            "{ipBlock: {cidr: 0.0.0.0/0, except: [10.1.0.0/24]}}",
            "the pod ranges 10.1.0.0/24",
        ),
    ] {
        let original = policy("staging-shop", learned);
        let carried = carry(&[&original], &mapping, &inventory);
        assert_eq!(carried.broken, Vec::<String>::new(), "{learned}");
        assert_eq!(carried.policies[0].policy, policy("shop", written).policy, "{learned}");
        let findings = carried.findings.join("\n");
        assert!(findings.contains(finding) && findings.is_empty() == finding.is_empty(), "{learned}: {findings}");
        assert!(findings.is_empty() || findings.starts_with("shop/web: "), "{findings}");
    }
}

#[test]
fn what_is_not_mapped_is_left() {
    let inventory = inventory();
    let mapping = Mapping::new(&pairs("staging-shop=shop kube-system=kube-system"), &inventory).unwrap();
    let all = ["staging-shop", "staging-db", "kube-system"].map(|namespace| policy(namespace, &pods("staging-shop")));
    let carried = carry(&all.iter().collect::<Vec<_>>(), &mapping, &inventory);
    let ids: Vec<String> = carried.policies.iter().map(|planned| planned.policy.id()).collect();
    assert_eq!(ids, ["kube-system/web", "shop/web"]);
    assert_eq!(carried.left.into_iter().collect::<Vec<_>>(), ["staging-db"]);
    let headers: Vec<usize> = carried.policies.iter().map(|planned| planned.header.len()).collect();
    assert_eq!(headers, [0, 1], "only what has another name says where it was learned");
}

/// The check finds a policy that is not what was proved.
#[test]
fn a_wrong_result_is_seen() {
    let inventory = inventory();
    let mapping = Mapping::new(&pairs("staging-shop=shop"), &inventory).unwrap();
    let original = policy("staging-shop", &pods("staging-db"));
    let wrong = policy("shop", &pods("kube-system"));
    assert_eq!(
        differs(&wrong, &original.policy, &mapping),
        Some("shop/web: renamed back it is not staging-shop/web, which was proved".to_string())
    );
    assert_eq!(differs(&policy("shop", &pods("staging-db")), &original.policy, &mapping), None);
}
