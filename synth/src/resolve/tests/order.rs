//! The order of flows never shows.

use proptest::prelude::*;

use super::*;

/// Something of everything.
const FLOWS: [&str; 16] = [
    "TCP web-1:40000 > svc-pool:80 established",
    "TCP web-1:40001 > svc-api:80 = api-1:8080 established",
    "TCP web-2:40001 > api-1:8080 refused",
    "TCP web-1:6000 <> db-1:7000 established at=1",
    "TCP web-2:6001 <> db-1:7000 established",
    "TCP web-2:6002 <> db-1:7000 established",
    "TCP 198.51.100.1:5000 > n1:30080 established id=9",
    "TCP 192.168.0.1:33333 > api-2:8080 established id=9 at=1",
    "TCP n1:40000 > web-1:8081 established",
    "UDP web-1:5000 > svc-dns:53 oneway",
    "UDP web-1:5000 > dns-1:53 answered at=1",
    "UDP stat-1:8125 > web-1:40000 answered",
    "UDP web-1:5001 > 169.254.20.10:53 answered dns",
    "UDP db-1:7946 > db-2:7946 oneway sent=3",
    "TCP web-1:20000 <> old-1:10000 established",
    "TCP 10.0.1.99:40000 > api-1:8080 established",
];

fn text(flows: &[&str]) -> String {
    let resolved = resolved(flows);
    let times: Vec<String> = resolved
        .graph
        .edges()
        .flat_map(|edge| edge.outcomes.values())
        .map(|evidence| format!("{} {} {} {:?}", evidence.first, evidence.last, evidence.datagrams, evidence.pairs))
        .collect();
    format!("{:#?} {times:#?} {:?} {:?}", rows(&resolved), resolved.doubts, resolved.dns_frontends)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_gives_the_same_edges(order in Just(FLOWS.to_vec()).prop_shuffle()) {
        prop_assert_eq!(text(&order), text(&FLOWS));
    }
}

#[test]
fn two_services_that_share_a_backend() {
    let flows = [
        "UDP web-1:5000 > svc-dns:53 oneway at=0",
        "UDP web-1:5000 > svc-names:53 oneway at=0.5",
        "UDP web-1:5000 > dns-1:53 answered at=0.4",
    ];
    let expected = text(&flows);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(text(&order.map(|index| flows[index])), expected, "{order:?}");
    }
}
