//! Whether a row of an edge is what a rule looks for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use capture::{Outcome, Talk};

use super::rule::{ApiClient, Named, Party, Ports, Rule, Seen, Tls, Watchlist, Who};
use super::{Options, Row};
use crate::endpoint::{Endpoint, Workload, single};
use crate::evidence::Certainty;
use crate::graph::{Class, Edge};
use crate::inventory::Inventory;
use crate::pattern::is_like;
use crate::special::{is_group_address, is_private};

/// What rules ask about besides the edge.
pub(super) struct Context<'a> {
    pub(super) list: &'a Watchlist,
    pub(super) inventory: &'a Inventory,
    pub(super) options: &'a Options,
    pub(super) api_servers: BTreeMap<IpAddr, u16>,
}

/// Labels that hold an application's name.
const NAME_LABELS: [&str; 4] = ["app.kubernetes.io/name", "k8s-app", "app", "name"];

/// One datagram without an answer may be astray; as many as these are meant.
const MEANT: u64 = 2;

/// The rows of an edge that count, unless nothing but port numbers tells the direction.
pub(super) fn rows(edge: &Edge, seen: Seen) -> Vec<Row<'_>> {
    let used = edge.used();
    let row = |(outcome, evidence)| Row { edge, outcome, evidence };
    match seen {
        Seen::Used => {
            let known = used.filter(|(outcome, evidence)| {
                let meant = evidence.connections >= MEANT || evidence.datagrams > MEANT;
                evidence.certainty != Certainty::Guessed && (*outcome != Outcome::OneWay || meant)
            });
            known.map(row).into_iter().collect()
        }
        Seen::Failed if used.is_some() => Vec::new(),
        Seen::Failed => {
            let failed = |outcome: Outcome| matches!(outcome, Outcome::Refused | Outcome::Unanswered);
            let attempts = edge.outcomes.iter().filter(|(outcome, _)| failed(**outcome));
            attempts.map(|(outcome, evidence)| row((*outcome, &**evidence))).collect()
        }
    }
}

impl Context<'_> {
    /// Whether a rule, but for its outcome and its thresholds, is about this row.
    pub(super) fn fits(&self, rule: &Rule, row: &Row<'_>) -> bool {
        let (key, class) = (&row.edge.key, row.edge.class);
        let port = |ports: &[Ports]| ports.iter().any(|ports| ports.contains(key.port));
        let talk = |talks: &[Named<Talk>]| talks.iter().any(|talk| row.evidence.talks.contains(talk.0));
        let classes = |classes: &[Named<Class>]| classes.iter().any(|known| known.0 == class);
        (rule.protocols.is_empty() || rule.protocols.iter().any(|protocol| protocol.0 == key.protocol))
            && (rule.ports.is_empty() || port(&rule.ports) || talk(&rule.or_talks))
            && !port(&rule.not_ports)
            && (rule.talks.is_empty() || talk(&rule.talks))
            && (rule.classes.is_empty() || classes(&rule.classes))
            && !classes(&rule.not_classes)
            && (!rule.via_node_port || row.evidence.node_ports > 0)
            && (!rule.across_namespaces || is_across_namespaces(row))
            && self.is_party(&rule.client, &key.client, || row.evidence.client_addresses())
            && self.is_party(&rule.server, &key.server, || row.evidence.server_addresses())
            && (!rule.hides_source || self.hides_source(row))
            && (!rule.tls_expected || self.expects_tls(&self.list.tls, row))
    }

    fn is_party(&self, party: &Party, endpoint: &Endpoint, addresses: impl Fn() -> BTreeSet<IpAddr>) -> bool {
        let is_platform =
            |workload: &Workload| self.list.platform.iter().any(|pattern| is_like(&workload.namespace, pattern));
        let workload = endpoint.workload();
        (party.who.is_empty() || party.who.contains(&self.who(endpoint)))
            && party.platform.is_none_or(|wanted| workload.is_some_and(is_platform) == wanted)
            && (party.addresses.is_empty()
                || addresses().iter().any(|ip| party.addresses.iter().any(|range| range.contains(ip))))
            && (party.applications.is_empty() || workload.is_some_and(|one| self.is_named(one, &party.applications)))
            && (party.api_client != Some(ApiClient::Unknown) || workload.is_some_and(|one| !self.knows_api(one)))
    }

    fn who(&self, endpoint: &Endpoint) -> Who {
        match endpoint {
            Endpoint::Workload(_) => Who::Pod,
            Endpoint::Node(_) => Who::Node,
            Endpoint::Unresolved { .. } => Who::Unresolved,
            Endpoint::External(range) if single(range).is_some_and(|ip| self.api_servers.contains_key(&ip)) => {
                Who::ApiServer
            }
            Endpoint::External(range) if is_group_address(range.addr()) => Who::Everybody,
            Endpoint::External(range) if is_private(range.addr()) => Who::Private,
            Endpoint::External(_) => Who::Internet,
        }
    }

    /// Whether a workload's name, or a label that holds its application's name, is like one of `patterns`.
    pub(super) fn is_named(&self, workload: &Workload, patterns: &[String]) -> bool {
        let like = |name: &str| patterns.iter().any(|pattern| is_like(name, pattern));
        let labels = self.inventory.workloads.get(workload).map(|info| &info.labels);
        like(&workload.name)
            || NAME_LABELS
                .iter()
                .any(|label| labels.and_then(|labels| labels.get(*label)).is_some_and(|name| like(name)))
    }

    /// A service account of its own was made for a workload that needs the API, or a role of the cloud; the default one
    /// is everybody's, and where none is said nothing speaks for it.
    fn knows_api(&self, workload: &Workload) -> bool {
        let account = self.service_account(workload);
        let short = format!("{}/{}", workload.namespace, workload.name);
        account.is_some_and(|account| account != "default")
            || self
                .options
                .api_clients
                .iter()
                .any(|pattern| is_like(&short, pattern) || is_like(&workload.to_string(), pattern))
    }

    /// The service account of a workload, where the input says so; an API server always does.
    pub(super) fn service_account(&self, workload: &Workload) -> Option<&str> {
        self.inventory.workloads.get(workload)?.service_account.as_deref()
    }

    fn hides_source(&self, row: &Row<'_>) -> bool {
        let key = &row.edge.key;
        row.evidence.server_pods().into_iter().any(|pod| {
            let mut services = self.inventory.services_of(pod, key.protocol, key.port);
            services.any(|(service, _)| service.public && service.hides_source)
        })
    }

    fn expects_tls(&self, tls: &Tls, row: &Row<'_>) -> bool {
        let key = &row.edge.key;
        let is_named = |name: &str| tls.names.iter().any(|pattern| is_like(name, pattern));
        tls.ports.iter().any(|ports| ports.contains(key.port))
            || row.evidence.server_pods().into_iter().flat_map(|pod| &self.inventory.pod(pod).ports).any(|port| {
                (port.protocol, port.number) == (key.protocol, key.port) && port.name.as_deref().is_some_and(is_named)
            })
    }
}

fn is_across_namespaces(row: &Row<'_>) -> bool {
    match (row.edge.key.client.workload(), row.edge.key.server.workload()) {
        (Some(client), Some(server)) => client.namespace != server.namespace,
        _ => false,
    }
}
