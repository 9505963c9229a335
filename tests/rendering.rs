//! Reading what was rendered gives the same policy, whatever its labels look like to a YAML reader.

use ipnet::IpNet;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use synth::label::{Requirement, Selector};
use synth::manifest::Objects;
use synth::policy::{Block, Namespaces, Origin, Peer, Peers, Policy, PolicyPort, PortMatch, Ports, Rule};
use synth::port::{PortRange, Protocol};
use synth::render::render;
use synth::synthesize::{Notes, Planned};

use crate::properties::config;

/// Values that YAML 1.1 or 1.2 reads as something else than text; `~` and `:` cannot be labels.
const AWKWARD: [&str; 23] = [
    "no",
    "y",
    "N",
    "on",
    "Off",
    "TRUE",
    "true",
    "False",
    "null",
    "Null",
    "1.10",
    "1e3",
    "1E-3",
    "0777",
    "0o7",
    "0x1F",
    "1_000",
    "2024-01-01",
    "12-30",
    "007",
    "NaN",
    "infinity",
    "a",
];

fn key() -> impl Strategy<Value = String> {
    (select(AWKWARD.to_vec()), any::<bool>())
        .prop_map(|(key, prefixed)| format!("{}{key}", if prefixed { "example.com/" } else { "" }))
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        select(AWKWARD.to_vec()).prop_map(str::to_string),
        "[A-Za-z0-9]([A-Za-z0-9_.-]{0,5}[A-Za-z0-9])?"
    ]
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let values = || btree_set(value(), 1..4);
    prop_oneof![
        (key(), values()).prop_map(|(key, values)| Requirement::In { key, values }),
        (key(), values()).prop_map(|(key, values)| Requirement::NotIn { key, values }),
        key().prop_map(|key| Requirement::Exists { key }),
        key().prop_map(|key| Requirement::Absent { key }),
    ]
}

fn selector() -> impl Strategy<Value = Selector> {
    vec(requirement(), 0..4).prop_map(|requirements| requirements.into_iter().collect())
}

fn peer() -> impl Strategy<Value = Peer> {
    let namespaces = prop_oneof![Just(Namespaces::Own), selector().prop_map(Namespaces::Matching)];
    let block = prop_oneof![
        (any::<u32>(), 0..=24_u8).prop_map(|(ip, length)| IpNet::new(std::net::Ipv4Addr::from(ip).into(), length)),
        (any::<u128>(), 0..=64_u8).prop_map(|(ip, length)| IpNet::new(std::net::Ipv6Addr::from(ip).into(), length)),
    ];
    let block =
        block.prop_map(Result::unwrap).prop_filter("IPv4-mapped", |net| net.addr().to_canonical() == net.addr());
    let block = (block, any::<bool>()).prop_map(|(cidr, excepting)| {
        let cidr = cidr.trunc();
        // The second half of the range.
        let except = excepting.then(|| cidr.subnets(cidr.prefix_len() + 1).unwrap().nth(1).unwrap());
        Block { cidr, except: except.into_iter().collect() }
    });
    prop_oneof![
        (namespaces, selector()).prop_map(|(namespaces, pods)| Peer::Pods { namespaces, pods }),
        block.prop_map(Peer::Block),
    ]
}

fn port() -> impl Strategy<Value = PolicyPort> {
    let range = (1..=u16::MAX, 1..=u16::MAX).prop_map(|(a, b)| {
        let [from, to] = [a.min(b), a.max(b)].map(|port| port.try_into().unwrap());
        PortMatch::Range(PortRange::new(from, to).unwrap())
    });
    let named =
        select(vec!["no", "y", "on", "1e3", "http", "0x1f"]).prop_map(|name| PortMatch::Named(name.to_string()));
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    (protocol, prop_oneof![Just(PortMatch::Every), range, named])
        .prop_map(|(protocol, port)| PolicyPort { protocol, port })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let peers = prop_oneof![Just(Peers::Everyone), vec(peer(), 1..3).prop_map(Peers::Any)];
    let ports = prop_oneof![Just(Ports::All), vec(port(), 1..4).prop_map(Ports::Any)];
    vec((peers, ports).prop_map(|(peers, ports)| Rule { peers, ports, lines: Default::default() }), 0..3)
}

/// At least one direction is isolated: the API cannot express a policy without any.
fn planned() -> impl Strategy<Value = Planned> {
    let directions = prop_oneof![
        rules().prop_map(|ingress| (Some(ingress), None)),
        rules().prop_map(|egress| (None, Some(egress))),
        (rules(), rules()).prop_map(|(ingress, egress)| (Some(ingress), Some(egress))),
    ];
    let name = select(vec!["no", "y", "on", "1.10", "1e3", "0777", "null", "true", "web", "2024-01-01"]);
    let labels = btree_map(key(), value(), 0..4);
    // Names from packets end up in comments.
    let note = "\\PC{0,12}(\n[a-z]: )?";
    (name.clone(), name, labels, selector(), directions, note).prop_map(
        |(namespace, name, labels, subject, (ingress, egress), note)| {
            let notes = |rules: &Option<Vec<Rule>>| {
                let rules = rules.iter().flatten();
                rules.map(|_| Notes { rule: note.clone(), peers: vec![note.clone(); 3] }).collect()
            };
            Planned {
                header: vec![note.clone()],
                ingress: notes(&ingress),
                egress: notes(&egress),
                workloads: Vec::new(),
                policy: Policy {
                    namespace: namespace.replace('.', "-"),
                    name: name.to_string(),
                    labels,
                    created: None,
                    version: 0,
                    origin: Origin::default(),
                    subject,
                    subject_line: 0,
                    ingress,
                    egress,
                    ignored: Vec::new(),
                },
            }
        },
    )
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn reading_what_was_rendered_gives_the_same_policy(planned in planned()) {
        let text = render(&planned);
        let mut objects = Objects::default();
        objects.load("rendered.yaml", &text);
        prop_assert!(objects.problems.is_empty(), "{:?}\n{text}", objects.problems);
        prop_assert_eq!(objects.policies.len(), 1);
        let read = objects.policies.remove(0).without_places();
        prop_assert_eq!(read, planned.policy, "{}", text);
    }
}
