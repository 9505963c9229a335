//! The analyzer's own words: connections, address ranges, selectors and peers.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Subnets};
use synth::addresses::AddressSet;
use synth::exposure::{Ports, Scope, Who};
use synth::label::{Requirement, Selector};
use synth::port::{PortRange, Protocol};
use synth::ports::PortSet;

/// `All Connections`, `TCP 80,443,UDP 53`, `TCP, UDP:[1-52,54-65535], SCTP`, `TCP http`.
pub fn connections(text: &str) -> Ports {
    match text {
        "All Connections" => return Ports::everything(),
        "No Connections" => return Ports::default(),
        _ => {}
    }
    let mut numbers = PortSet::empty();
    let mut names = BTreeSet::new();
    let mut protocol = None;
    for item in text.replace(":[", " ").replace(']', "").split(',') {
        let mut words = item.split_whitespace().peekable();
        if let Some(known) = words.peek().and_then(|word| Protocol::from_name(word)) {
            words.next();
            protocol = Some(known);
            if words.peek().is_none() {
                numbers.insert(known, PortRange::ALL);
            }
        }
        let protocol = protocol.unwrap_or_else(|| panic!("no protocol in {text:?}"));
        for word in words {
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            match (from.parse(), to.parse()) {
                (Ok(from), Ok(to)) => numbers.insert(protocol, PortRange::new(from, to).unwrap()),
                _ => {
                    names.insert((protocol, word.to_string()));
                }
            }
        }
    }
    Ports::new(numbers, names)
}

/// `10.0.0.0-10.255.255.255[External]`.
pub fn addresses(text: &str) -> Option<AddressSet> {
    let (first, last) = text.strip_suffix("[External]")?.split_once('-')?;
    let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse().unwrap(), last.parse().unwrap());
    let nets = Ipv4Subnets::new(first, last, 0).map(|net| AddressSet::of(IpNet::V4(net)));
    Some(nets.fold(AddressSet::empty(), |set, net| set.union(&net)))
}

/// A peer that may come: `entire-cluster`, `shop/[all pods]`, `[namespace with {team=a}]/[pod with {app=web}]`.
pub fn who(text: &str) -> Who {
    if text == "entire-cluster" {
        return Who::EntireCluster;
    }
    // Keys of labels have slashes; what divides is the one before the brackets of pods.
    let (namespaces, pods) = text.split_once("/[all pods]").or_else(|| text.rsplit_once("/[pod with ")).unwrap();
    let scope = match namespaces.strip_prefix("[namespace with ") {
        Some(labels) => Scope::matching(&selector(labels.strip_suffix(']').unwrap())).unwrap(),
        None if namespaces == "[all namespaces]" => Scope::All,
        None => Scope::Named(namespaces.to_string()),
    };
    let pods = if pods.is_empty() { Selector::everything() } else { selector(pods.strip_suffix(']').unwrap()) };
    Who::selected(scope, &pods).unwrap()
}

/// `{app=web,{Key:tier,Operator:In,Values:[a b],}}`.
fn selector(text: &str) -> Selector {
    let mut inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap();
    let mut requirements = Vec::new();
    while !inner.is_empty() {
        let end = match inner.strip_prefix('{') {
            Some(_) => inner.find(",}").unwrap() + 2,
            None => inner.find(',').unwrap_or(inner.len()),
        };
        requirements.push(requirement(&inner[..end]));
        inner = inner[end..].trim_start_matches(',');
    }
    requirements.into_iter().collect()
}

fn requirement(text: &str) -> Requirement {
    let Some(expression) = text.strip_prefix("{Key:") else {
        let (key, value) = text.split_once('=').unwrap();
        return Requirement::equals(key, value);
    };
    let (key, rest) = expression.split_once(",Operator:").unwrap();
    let (operator, rest) = rest.split_once(",Values:[").unwrap();
    let key = key.to_string();
    let values = rest.strip_suffix("],}").unwrap().split_whitespace().map(str::to_string).collect();
    match operator {
        "In" => Requirement::In { key, values },
        "NotIn" => Requirement::NotIn { key, values },
        "Exists" => Requirement::Exists { key },
        "DoesNotExist" => Requirement::Absent { key },
        other => panic!("operator {other}"),
    }
}

#[test]
fn its_words_are_understood() {
    assert_eq!(connections("TCP 8080,9090-9091,UDP 53").to_string(), "8080/TCP, 9090-9091/TCP, 53/UDP");
    assert_eq!(connections("TCP, UDP:[1-52,54-65535], SCTP").to_string(), "all/TCP, 1-52/UDP, 54-65535/UDP, all/SCTP");
    assert_eq!(connections("TCP 80,http").to_string(), "80/TCP, http/TCP");
    assert_eq!(connections("All Connections"), Ports::everything());
    assert_eq!(addresses("0.0.0.0-9.255.255.255[External]").unwrap().to_string(), "0.0.0.0/5, 8.0.0.0/7");
    assert_eq!(addresses("shop/web[Deployment]"), None);
    for (text, understood) in [
        ("entire-cluster", "every pod"),
        ("shop/[all pods]", "every pod in shop"),
        ("[all namespaces]/[pod with {app=web}]", "pods app=web in any namespace"),
        (
            "[namespace with {{Key:foo.com/state,Operator:In,Values:[a b],}}]/[all pods]",
            "every pod in namespaces foo.com/state in (a, b)",
        ),
        (
            "shop/[pod with {app.io/name=x,tier=y,{Key:env,Operator:DoesNotExist,Values:[],}}]",
            "pods app.io/name=x,tier=y,!env in shop",
        ),
    ] {
        assert_eq!(who(text).to_string(), understood);
    }
}
