//! How much has to be watched before `unused` says anything that rests on silence.

use std::fs;

use serde_json::Value;

use crate::packets::{ETHERNET, Frame, SECOND};
use crate::traffic;
use crate::unused::{all, directory, findings, from, hourly, policy, run, shop, traffic, workload};

/// A CronJob each night at three, and the policy that lets it in.
pub fn nightly() -> String {
    let rules = format!("  ingress:\n{}{}", from("web", "8080"), from("night", "8080"));
    let template = "jobTemplate: {spec: {template: {metadata: {labels: {app: night}}}}}";
    let cron = format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{namespace: shop, name: night}}\nspec: {{schedule: 0 3 * * *, {template}}}\n---\n"
    );
    shop() + &cron + &policy("api", "api", &rules)
}

/// One run of it: begun at a time of the day of [`crate::traffic`], over five minutes later.
pub fn night(begun: &str, over: &str) -> String {
    let owner = |kind: &str, name: &str| format!("ownerReferences: [{{kind: {kind}, name: {name}, controller: true}}]");
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{namespace: shop, name: night-1, {}}}\n---\n\
         kind: Pod\nmetadata: {{namespace: shop, name: night-1-x, labels: {{app: night}}, creationTimestamp: \"{begun}\", {}}}\n\
         status: {{phase: Succeeded, podIPs: [{{ip: 10.1.0.33}}], startTime: \"{begun}\", containerStatuses: [{{name: c, state: {{terminated: {{startedAt: \"{begun}\", finishedAt: \"{over}\"}}}}}}]}}\n---\n",
        owner("CronJob", "night"),
        owner("Job", "night-1")
    )
}

fn missing(finding: &Value) -> Vec<&str> {
    finding["missing"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

#[test]
fn a_job_that_did_not_run_may_need_its_rule() {
    let idle = directory(&nightly(), &[("t.pcap", &traffic())]);
    let found = findings(&idle, "--pcap t.pcap");
    assert_eq!(all(&found), ["insufficient_evidence shop/api ingress 1 (unused)"]);
    assert_eq!(missing(&found[0]), ["shop/CronJob/night (0 3 * * *) did not run while somebody watched"]);
    let ran = nightly() + &night("2026-11-02T03:00:00Z", "2026-11-02T03:05:00Z");
    let silent = directory(&ran, &[("t.pcap", &traffic())]);
    assert_eq!(all(&findings(&silent, "--pcap t.pcap")), ["unused shop/api ingress 1"]);
    let before = nightly() + &night("2026-10-31T03:00:00Z", "2026-10-31T03:05:00Z");
    let before = directory(&before, &[("t.pcap", &traffic())]);
    assert_eq!(all(&findings(&before, "--pcap t.pcap")), ["insufficient_evidence shop/api ingress 1 (unused)"]);
    // What a pod did that is over counts as much as anything else.
    let script = traffic() + "27:01:00 10.1.0.33:42000 -> 10.1.0.7:8080 TCP established\n";
    let used = directory(&ran, &[("t.pcap", &script)]);
    assert_eq!(all(&findings(&used, "--pcap t.pcap")), Vec::<String>::new());
}

#[test]
fn a_workload_at_zero_may_need_its_rule() {
    let late = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: shop, name: late}\n\
                spec: {replicas: 0, selector: {matchLabels: {app: late}}, template: {metadata: {labels: {app: late}}}}\n---\n";
    let rules = format!("  ingress:\n{}{}", from("web", "8080"), from("late", "8080"));
    let cluster = directory(&(shop() + late + &policy("api", "api", &rules)), &[("t.pcap", &traffic())]);
    let found = findings(&cluster, "--pcap t.pcap");
    assert_eq!(all(&found), ["insufficient_evidence shop/api ingress 1 (unused)"]);
    assert_eq!(missing(&found[0]), ["shop/Deployment/late is scaled to zero"]);
}

/// `web` uses one of two rules.
fn half_used() -> String {
    shop() + &policy("api", "api", &format!("  ingress:\n{}{}", from("web", "8080"), from("web", "9090")))
}

#[test]
fn the_window_has_to_be_long_enough() {
    let minutes: String = (0..50)
        .map(|minute| format!("00:{minute}:00 10.1.0.5:{} -> 10.1.0.7:8080 TCP established\n", 40_000 + minute))
        .collect();
    let short = directory(&half_used(), &[("t.pcap", &minutes)]);
    let found = findings(&short, "--pcap t.pcap");
    assert_eq!(all(&found), ["insufficient_evidence shop/api ingress 1 (unused)"]);
    assert_eq!(missing(&found[0]), ["only 49 min were watched (60 min are asked for)"]);
    assert_eq!(all(&findings(&short, "--pcap t.pcap --min-window 30m")), ["unused shop/api ingress 1"]);
    let cut = "--pcap t.pcap --min-window 30m --until 2026-11-01T00:20:00Z";
    assert_eq!(all(&findings(&short, cut)), ["insufficient_evidence shop/api ingress 1 (unused)"]);
}

/// Nobody watched between two files that are more than a minute apart.
#[test]
fn gaps_were_not_watched() {
    let lines: Vec<String> = traffic().lines().map(|line| format!("{line}\n")).collect();
    let (early, late) = (lines[..6].concat(), lines[40..].concat());
    let cluster = directory(&half_used(), &[("early.pcap", &early), ("late.pcap", &late), ("all.pcap", &traffic())]);
    let found = findings(&cluster, "--pcap early.pcap late.pcap --min-window 24h");
    assert_eq!(all(&found), ["insufficient_evidence shop/api ingress 1 (unused)"]);
    assert_eq!(missing(&found[0]), ["only 13 h were watched, with a gap (24 h are asked for)"]);
    assert_eq!(all(&findings(&cluster, "--pcap early.pcap late.pcap --min-window 13h")), ["unused shop/api ingress 1"]);
    let run = run(&cluster, "--pcap late.pcap early.pcap -q -o json");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["window"]["gaps"][0][0], "2026-11-01T05:00:01.001820Z");
    assert_eq!(report["window"]["gaps"][0][1], "2026-11-02T16:00:01Z");
    // What one file lacks another has.
    let found = findings(&cluster, "--pcap early.pcap late.pcap all.pcap --min-window 24h");
    assert_eq!(all(&found), ["unused shop/api ingress 1"]);
}

#[test]
fn a_policy_has_to_be_as_old_as_the_window() {
    let aged = |created: &str| {
        let named = format!("name: api, creationTimestamp: \"{created}\"}}");
        half_used().replace(
            "metadata: {namespace: shop, name: api}\nspec:\n  podSelector",
            &format!("metadata: {{namespace: shop, {named}\nspec:\n  podSelector"),
        )
    };
    let judge = |created: &str| {
        let cluster = aged(created);
        assert!(cluster.contains(created));
        findings(&directory(&cluster, &[("t.pcap", &traffic())]), "--pcap t.pcap --min-window 24h")
    };
    let found = judge("2026-11-02T12:00:01Z");
    assert_eq!(all(&found), ["insufficient_evidence shop/api ingress 1 (unused)"]);
    assert_eq!(
        missing(&found[0]),
        ["the policy is younger than the window: of its time 12 h were watched (24 h are asked for)"]
    );
    assert_eq!(all(&judge("2026-11-01T12:00:01Z")), ["unused shop/api ingress 1"]);
}

/// Silence of an end that nobody watched says nothing, unless the other end was.
#[test]
fn what_was_not_watched() {
    let rules = format!(
        "  ingress:\n{}{}  - {{from: [{{namespaceSelector: {{}}, podSelector: {{matchLabels: {{app: db}}}}}}], ports: [{{port: 8080}}]}}",
        from("web", "8080"),
        from("web", "9090")
    );
    let cluster = directory(&(shop() + &policy("api", "api", &rules)), &[("t.pcap", &traffic())]);
    let found = |args: &str| all(&findings(&cluster, &format!("--pcap t.pcap {args}")));
    assert_eq!(found(""), ["unused shop/api ingress 1", "unused shop/api ingress 2"]);
    assert_eq!(found("--watched shop"), found(""));
    let doubted = ["insufficient_evidence shop/api ingress 1 (unused)", "unused shop/api ingress 2"];
    assert_eq!(found("--watched data"), doubted);
    let only_web = findings(&cluster, "--pcap t.pcap --watched app=web");
    assert_eq!(all(&only_web), ["unused shop/api ingress 1", "insufficient_evidence shop/api ingress 2 (unused)"]);
    assert_eq!(missing(&only_web[1]), ["pods of shop/Deployment/api were not watched"]);
}

/// A node's own connections do not pass everywhere where captures are made.
#[test]
fn addresses_of_nodes() {
    let node =
        "kind: Node\nmetadata: {name: n1}\nstatus: {addresses: [{type: InternalIP, address: 192.168.0.1}]}\n---\n";
    let block = |cidr: &str| format!("  - {{from: [{{ipBlock: {{cidr: {cidr}}}}}], ports: [{{port: 8080}}]}}\n");
    let rules = format!("  ingress:\n{}{}{}", from("web", "8080"), block("192.168.0.1/32"), block("192.168.7.1/32"));
    let cluster = directory(&(shop() + node + &policy("api", "api", &rules)), &[("t.pcap", &traffic())]);
    let found = findings(&cluster, "--pcap t.pcap");
    let expected = ["insufficient_evidence shop/api ingress 1 (unused)", "unused shop/api ingress 2"];
    assert_eq!(all(&found), expected);
    assert!(missing(&found[0])[0].starts_with("192.168.0.1/32 holds addresses of nodes"), "{found:#?}");
}

/// Addresses in the pods' ranges that no pod of the dump held may have been anybody's.
#[test]
fn connections_of_unknown_pods() {
    let rules = format!("  ingress:\n{}{}", from("web", "8080"), from("worker", "9090"));
    let cluster = shop() + &workload("shop", "worker", "10.1.0.44") + &policy("api", "api", &rules);
    let script = traffic() + &hourly("10.1.0.99", "10.1.0.7:9090");
    let cluster = directory(&cluster, &[("t.pcap", &script)]);
    let found = findings(&cluster, "--pcap t.pcap --max-unresolved 60");
    let doubted = found.iter().find(|finding| finding["status"] == "insufficient_evidence").unwrap();
    assert_eq!(
        missing(doubted),
        [
            "49 connections may have been its: of pods that are not known, without a known direction, or translated on the way"
        ]
    );
    let found = findings(&cluster, "--pcap t.pcap");
    let doubted = found.iter().find(|finding| finding["status"] == "insufficient_evidence").unwrap();
    assert!(missing(doubted)[0].starts_with("49 of 98 conversations have an unresolved side"), "{found:#?}");
}

/// A pcapng file whose interface says that `lost` packets were dropped (`isb_ifdrop`, option 5).
fn pcapng(frames: &[Frame], lost: u64) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = body.len() as u32 + 12;
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), body, &length.to_le_bytes()]
            .iter()
            .for_each(|part| file.extend(*part));
    };
    let section = [0x1a2b_3c4d_u32.to_le_bytes(), [1, 0, 0, 0], [255; 4], [255; 4]].concat();
    block(0x0a0d_0d0a, &section);
    // if_tsresol: 10^-9.
    block(1, &[&(ETHERNET as u16).to_le_bytes()[..], &[0; 6], &[9, 0, 1, 0, 9, 0, 0, 0], &[0; 4]].concat());
    for (time, bytes) in frames {
        let length = (bytes.len() as u32).to_le_bytes();
        let (high, low) = ((time >> 32) as u32, *time as u32);
        let padding = vec![0; bytes.len().next_multiple_of(4) - bytes.len()];
        block(6, &[&[0; 4][..], &high.to_le_bytes(), &low.to_le_bytes(), &length, &length, bytes, &padding].concat());
    }
    let now = frames.last().map_or(0, |(time, _)| *time);
    let (high, low) = (((now / SECOND * SECOND) >> 32) as u32, now as u32);
    let drops = [&[5, 0, 8, 0][..], &lost.to_le_bytes(), &[0; 4]].concat();
    block(5, &[&[0; 4][..], &high.to_le_bytes(), &low.to_le_bytes(), &drops].concat());
    file
}

#[test]
fn losses_may_hide_a_use() {
    let cluster = directory(&half_used(), &[]);
    let frames = traffic::frames(&traffic());
    let write = |lost: u64| fs::write(cluster.path().join("t.pcapng"), pcapng(&frames, lost)).unwrap();
    write(0);
    assert_eq!(all(&findings(&cluster, "--pcap t.pcapng")), ["unused shop/api ingress 1"]);
    write(8);
    let found = findings(&cluster, "--pcap t.pcapng");
    assert_eq!(all(&found), ["insufficient_evidence shop/api ingress 1 (unused)"]);
    let packets = frames.len() + 8;
    assert_eq!(missing(&found[0]), [format!("8 of {packets} packets were lost while capturing (0.1 % allowed)")]);
    assert_eq!(all(&findings(&cluster, "--pcap t.pcapng --max-loss 5")), ["unused shop/api ingress 1"]);
    let report: Value = serde_json::from_str(&run(&cluster, "--pcap t.pcapng -q -o json").stdout).unwrap();
    assert_eq!(report["coverage"]["lost"], 8);
}

/// What shows without any traffic stands, however short the window is: the run exits with 1, not 3.
#[test]
fn not_everything_rests_on_silence() {
    let cluster = half_used() + &policy("gone", "gone", "  ingress: []");
    let cluster = directory(&cluster, &[("t.pcap", "00:00:01 10.1.0.5:40000 -> 10.1.0.7:8080 TCP established\n")]);
    let found = findings(&cluster, "--pcap t.pcap");
    assert_eq!(all(&found), ["insufficient_evidence shop/api ingress 1 (unused)", "dead shop/gone"]);
    assert_eq!(run(&cluster, "--pcap t.pcap -l app=api").exit, 3);
}
