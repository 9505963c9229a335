//! The data of the page, as its script reads it. Indices are those of the lists beside each other; positions are in pixels
//! from the upper left corner of the map.

use serde::Serialize;

use super::change::Change;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Page<'c> {
    pub(super) schema: u32,
    pub(super) tool: String,
    pub(super) title: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) inputs: Inputs,
    pub(super) coverage: Coverage,
    /// What proposed policies change.
    pub(super) change: Option<&'c Change>,
    /// Boxes of the map: namespaces, nodes, what is outside.
    pub(super) namespaces: Vec<Area>,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) policies: Vec<Policy>,
    pub(super) rules: Vec<Rule>,
    pub(super) findings: Vec<Finding>,
    pub(super) left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) status: &'static str,
    pub(super) headline: String,
    pub(super) detail: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Inputs {
    pub(super) flows: Vec<String>,
    pub(super) cluster: Vec<String>,
    pub(super) policies: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Coverage {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) gaps: Vec<[String; 2]>,
    /// Seen, and all.
    pub(super) nodes: [usize; 2],
    pub(super) pods: [usize; 2],
    pub(super) lost: u64,
    pub(super) connections: u64,
    pub(super) unresolved: u64,
    pub(super) guessed: u64,
    pub(super) ambiguous: u64,
    pub(super) sources: Vec<Source>,
    /// What was not seen, a sentence each.
    pub(super) unseen: Vec<String>,
    pub(super) learning: Option<Learning>,
}

#[derive(Debug, Serialize)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) frames: u64,
    pub(super) lost: u64,
    pub(super) damage: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Learning {
    /// `learning`, `settling` or `settled`.
    pub(super) status: &'static str,
    pub(super) headline: String,
    pub(super) facts: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Area {
    pub(super) name: String,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Node {
    /// `workload`, `node`, `external` or `unresolved`.
    #[serde(rename = "type")]
    pub(super) class: &'static str,
    /// Index of the box, where it is a namespace.
    pub(super) namespace: Option<usize>,
    #[serde(rename = "box")]
    pub(super) area: usize,
    pub(super) kind: Option<String>,
    pub(super) name: String,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) pods: Option<usize>,
    /// Addresses that are drawn as one.
    pub(super) members: Option<Vec<String>>,
    /// `isolated`, `open`, or nothing for what policies do not select.
    pub(super) ingress: Option<&'static str>,
    pub(super) egress: Option<&'static str>,
    pub(super) policies: Vec<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Edge {
    pub(super) client: usize,
    pub(super) server: usize,
    pub(super) protocol: &'static str,
    pub(super) port: u16,
    pub(super) class: &'static str,
    pub(super) verdict: &'static str,
    pub(super) why: Option<String>,
    pub(super) outcomes: Vec<(&'static str, u64)>,
    pub(super) direction: &'static str,
    pub(super) connections: u64,
    pub(super) client_pods: usize,
    pub(super) server_pods: usize,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) service: Option<String>,
    pub(super) names: Vec<String>,
    pub(super) ambiguous: bool,
    pub(super) rules: Vec<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Policy {
    pub(super) kind: &'static str,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    /// Whether it says that Ringfence wrote it.
    pub(super) managed: bool,
    pub(super) selects: Vec<usize>,
    pub(super) text: Option<String>,
    pub(super) rules: Vec<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Rule {
    pub(super) policy: usize,
    pub(super) direction: &'static str,
    pub(super) index: usize,
    pub(super) text: String,
    pub(super) line: Option<u32>,
    pub(super) evidence: Option<String>,
    pub(super) edges: Vec<usize>,
    pub(super) status: Option<&'static str>,
    pub(super) message: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) rule: String,
    pub(super) severity: &'static str,
    pub(super) message: String,
    pub(super) about: String,
    pub(super) nodes: Vec<usize>,
    pub(super) edges: Vec<usize>,
    pub(super) policies: Vec<usize>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) help: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct LeftOut {
    pub(super) reason: &'static str,
    pub(super) text: String,
    pub(super) nodes: Vec<usize>,
    pub(super) edges: Vec<usize>,
}
