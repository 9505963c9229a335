use super::*;
use crate::finding::tests::item;

fn ignores(text: &str) -> Result<Ignores, Vec<String>> {
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    parse("i.yaml", text, &mut entries, &mut errors);
    if errors.is_empty() { Ok(Ignores { entries, today: "2026-11-02".to_string() }) } else { Err(errors) }
}

#[test]
fn what_is_ignored() {
    let web = item("uncovered", Severity::Warning, "shop/web -> shop/api");
    let db = item("uncovered", Severity::Warning, "shop/api -> data/db");
    let pod = item("no-pod", Severity::Error, "NetworkPolicy shop/x");
    let print = pod.fingerprint();
    for (id, hidden) in [
        ("uncovered".to_string(), vec![&web, &db]),
        ("uncovered shop/web -> *".to_string(), vec![&web]),
        ("no-pod shop/web -> *".to_string(), vec![]),
        (print.clone(), vec![&pod]),
        (format!("no-pod {print}"), vec![&pod]),
        (format!("uncovered {print}"), vec![]),
    ] {
        let ignores = ignores(&format!("- id: \"{id}\"\n  reason: known\n  expires: 2026-11-02\n")).unwrap();
        let found = [&web, &db, &pod].map(|item| (item.clone(), ())).to_vec();
        let rules = catalogue::all();
        let sorted = ignores.sort(&rules, found).unwrap();
        let names = |items: Vec<&Item>| items.into_iter().map(|item| item.key.clone()).collect::<Vec<_>>();
        assert_eq!(names(sorted.ignored().map(|(item, _)| item).collect()), names(hidden.clone()), "{id}");
        assert_eq!(sorted.shown.len() + hidden.len(), 3, "{id}");
        assert_eq!((sorted.expired.len(), sorted.warnings.len()), (0, usize::from(hidden.is_empty())), "{id}");
    }
}

#[test]
fn an_entry_expires_loudly() {
    let text = "- {id: uncovered *web*, reason: soon, expires: 2026-11-01}\n- {id: uncovered, reason: all}\n";
    let web = item("uncovered", Severity::Warning, "shop/web -> shop/api");
    let sorted = ignores(text).unwrap().sort(&catalogue::all(), vec![(web.clone(), ())]).unwrap();
    assert_eq!(sorted.hidden[0].2.reason, "all", "the other entry still holds");
    let alone = text.lines().next().unwrap();
    let sorted = ignores(alone).unwrap().sort(&catalogue::all(), vec![(web, ())]).unwrap();
    assert_eq!((sorted.shown.len(), sorted.expired.len()), (1, 1));
    let expired = &sorted.expired[0];
    assert_eq!((expired.rule.as_str(), expired.place.as_ref().map(|place| place.line)), (EXPIRED, Some(1)));
    assert!(expired.message.contains("expired on 2026-11-01: the finding it hid is shown again"), "{expired:?}");
    let other: Vec<Rule> = catalogue::all().into_iter().filter(|rule| rule.id == "no-pod").collect();
    let sorted = ignores(alone).unwrap().sort(&other, Vec::<(Item, ())>::new()).unwrap();
    assert_eq!((sorted.expired.len(), sorted.warnings.len()), (0, 0), "another command's");
}

#[test]
fn refuses() {
    for (text, expected) in [
        ("id: unused\n", "i.yaml:1: a list of entries is expected, not object"),
        ("- id: uncovered\n", "i.yaml:1: an entry without `reason`"),
        ("- reason: x\n", "i.yaml:1: an entry without `id`"),
        ("- id: uncovered\n  reason:\n", "i.yaml:1: an entry without `reason`"),
        ("- id: uncovered\n  reason: ' '\n", "i.yaml:2: `reason` is empty"),
        ("- id: uncovered\n  reason: yes\n", "i.yaml:2: `reason` is bool, not text: write it in quotes"),
        ("- id: uncovered\n  reason: x\n  until: x\n", "i.yaml:3: unknown field `until`"),
        ("- id: uncovered\n  reason: x\n  expires: soon\n", "i.yaml:3: `expires`: \"soon\" is not a day"),
        ("- id: uncovered\n  reason: x\n  expires: 2026-02-30\n", "i.yaml:3: `expires`"),
        ("- id: uncoverd\n  reason: x\n", "i.yaml:1: `id`: no findings are called \"uncoverd\""),
        ("- uncovered\n", "i.yaml:1: an entry has `id` and `reason`, this is string"),
        ("- id: a\n  id: b\n", "i.yaml:2: key \"id\" already set in map"),
    ] {
        let errors = ignores(text).unwrap_err();
        assert!(errors[0].starts_with(expected), "{text}: {errors:?}");
    }
    assert_eq!(ignores("- {}\n- {id: uncovered}\n").unwrap_err().len(), 2, "all of them at once");
    assert!(ignores("# nothing yet\n").unwrap().is_empty());
}
