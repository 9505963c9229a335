//! From flows to proved NetworkPolicies.
pub mod endpoint;
pub mod evaluate;
pub mod evidence;
pub mod graph;
pub mod inventory;
pub mod label;
pub mod manifest;
pub mod policy;
pub mod port;
pub mod ports;
pub mod resolve;
