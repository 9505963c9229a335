//! From flows and a cluster's objects to proved NetworkPolicies. Pure: no I/O, no clock, no async.
//!
//! ```text
//! YAML, JSON --manifest--> objects --inventory--> who held which address when
//!                                                      |
//! flows ----------------------------------------- resolve --> graph of edges, with evidence
//!                                                      |
//!                 learn (which edges count) -- synthesize --> policies --render--> YAML
//!                 select (which labels)                          |
//!                                        evaluate -- prove, check --> verdicts
//!                                            |
//!                              reach (the same, as sets) -- diff --> gained, lost
//! ```
//!
//! [`manifest`] cuts files into objects, each error with its place. [`inventory`] binds addresses to pods in time and
//! Services to their backends. [`observers`] counts once what several of them saw, and [`resolve`] turns flows into the edges of a [`graph`]. [`learn`] decides which edges make
//! rules, [`select`] what selects a workload, [`synthesize`] writes the policies, [`render`] prints them. [`evaluate`]
//! is the one evaluator of policies; [`prove`] replays the edges against the generated set with it, and [`check`]
//! against any other ([`replay`] is what they share). [`carry`] renames the namespaces of what was proved for another cluster,
//! and [`change`] says what a new version of a policy changes.
//!
//! [`unused`] holds each [`part`] of the policies against the edges and says which nobody needs, [`completeness`] how much
//! of the traffic has been learned, [`watchlist`] which edges deserve a second look, whatever policies say. [`platform`]
//! knows what network plugins and meshes cannot do, [`expected`] what objects declare and nobody saw.
//!
//! Without traffic: [`reach`] answers for whole clusters at once, [`diff`] compares two answers ([`witness`] makes pods up
//! where there are none), [`explain`] is one answer with its reasons, [`exposure`] is about pods that do not exist yet,
//! [`lint`] about mistakes.

pub mod addresses;
pub mod carry;
pub mod change;
pub mod check;
pub mod cluster;
pub mod completeness;
pub mod declare;
pub mod diff;
pub mod endpoint;
pub mod evaluate;
pub mod evidence;
pub mod expected;
pub mod explain;
pub mod exposure;
pub mod graph;
pub mod inventory;
pub mod label;
pub mod learn;
pub mod lint;
pub mod manifest;
pub mod observers;
pub mod part;
pub mod pattern;
pub mod platform;
pub mod policy;
pub mod port;
pub mod ports;
pub mod prove;
pub mod ranges;
pub mod reach;
pub mod render;
pub mod replay;
pub mod resolve;
pub mod review;
pub mod revision;
pub mod select;
pub mod special;
pub mod synthesize;
pub mod unused;
pub mod watchlist;
pub mod window;
pub mod witness;
pub mod words;
