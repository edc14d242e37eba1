#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{Plan, Role};

/// `a` made an output, `b` made none, `c` was skipped; nothing is known of any other.
fn holds(condition: &Condition, output: &Value) -> bool {
    condition.holds(&|step| match step {
        "a" => Some(Done::Succeeded(Some(output))),
        "b" => Some(Done::Succeeded(None)),
        "c" => Some(Done::Skipped),
        _ => None,
    })
}

fn of(step: &str) -> OutputOf {
    Condition::output(step)
}

#[test]
fn tests_of_an_output() {
    let output = json!({ "n": 2, "x": 2.5, "list": [1, { "a/b": null }], "text": "ten", "big": u64::MAX });
    let holds = |condition: Condition| holds(&condition, &output);
    assert!(holds(of("a").exists()) && holds(of("a").at("/n").exists()) && holds(of("a").at("/list/1/a~1b").exists()));
    assert!(!holds(of("a").at("/list/2").exists()) && !holds(of("a").at("/n/0").exists()) && !holds(of("a").at("/list/-").exists()));
    assert!(holds(of("a").at("/n").equals(2)) && holds(of("a").at("/n").equals(2.0)) && !holds(of("a").at("/n").equals("2")));
    assert!(holds(of("a").at("/list").equals(json!([1.0, { "a/b": null }]))) && !holds(of("a").at("/list").equals(json!([1]))));
    assert!(!holds(of("a").at("/list/1").equals(json!({ "a/b": 1 }))) && !holds(of("a").at("/list/1").equals(json!({ "b": null }))));
    assert!(holds(of("a").at("/text").one_of(["one", "ten"])) && !holds(of("a").at("/text").one_of(["one"])));
    assert!(holds(of("a").at("/n").greater_than(1)) && holds(of("a").at("/n").less_than(2.25)));
    assert!(!holds(of("a").at("/n").greater_than(2)) && !holds(of("a").at("/n").less_than(2)));
    assert!(holds(of("a").at("/x").greater_than(2)) && holds(of("a").at("/x").less_than(3)));
    assert!(holds(of("a").at("/big").greater_than(i64::MAX)) && holds(of("a").at("/big").greater_than(u64::MAX - 1)));
    assert!(!holds(of("a").at("/text").less_than(11)) && !holds(of("a").at("/text").greater_than(9)), "a text is no number");
}

#[test]
fn tests_of_a_step_and_what_joins_them() {
    let holds = |condition: Condition| holds(&condition, &json!(true));
    let (yes, no) = (|| Condition::succeeded("b"), || Condition::skipped("b"));
    assert!(holds(yes()) && !holds(no()) && holds(Condition::skipped("c")) && !holds(Condition::succeeded("c")));
    assert!(!holds(Condition::succeeded("zz")) && !holds(Condition::skipped("zz")));
    for missing in ["b", "c", "zz"] {
        assert!(!holds(of(missing).exists()), "{missing} has no output");
    }
    assert!(holds(Condition::all([yes(), !no()])) && !holds(Condition::all([yes(), no()])));
    assert!(holds(Condition::any([no(), yes()])) && !holds(Condition::any([no(), no()])));
    assert_eq!(!!yes(), yes());
}

#[test]
fn written_as_json_and_for_a_person() {
    let condition = Condition::all([
        of("test").at("/errors").greater_than(0),
        !Condition::any([Condition::skipped("lint"), of("lint").one_of([1, 2]), of("lint").exists()]),
    ]);
    let written = json!({ "all": [
        { "output": { "step": "test", "at": "/errors", "is": { "greater_than": 0 } } },
        { "not": { "any": [
            { "skipped": "lint" },
            { "output": { "step": "lint", "is": { "one_of": [1, 2] } } },
            { "output": { "step": "lint", "is": "exists" } },
        ] } },
    ] });
    assert_eq!(serde_json::to_value(&condition).unwrap(), written);
    assert_eq!(serde_json::from_value::<Condition>(written).unwrap(), condition);
    let said = "(the output of \"test\" at \"/errors\" is greater than 0 and not (\"lint\" was skipped or the output of \"lint\" is one of \
                [1,2] or the output of \"lint\" exists))";
    assert_eq!(condition.to_string(), said);
    for unknown in [
        json!({ "output": { "step": "a", "is": "exists", "else": 1 } }),
        json!({ "output": { "step": "a", "is": { "matches": ".*" } } }),
        json!({ "output": { "step": "a" } }),
        json!({ "some": [] }),
        json!({ "succeeded": "a", "skipped": "b" }),
        json!("succeeded"),
    ] {
        assert!(serde_json::from_value::<Condition>(unknown.clone()).is_err(), "{unknown}");
    }
}

/// What a plan says to this condition of its last step, `ship`, which needs `b` and through it `a`, but not `c`.
fn refused(condition: Condition) -> (String, String) {
    let plan = Plan::builder()
        .step("a", "x", |s| s)
        .step("b", "x", |s| s.needs(["a"]))
        .step("c", "x", |s| s)
        .step("ship", "x", |s| s.needs(["b"]).when(condition))
        .build();
    match plan {
        Ok(_) => (String::new(), String::new()),
        Err(error) => (error.invalid().unwrap().field().to_owned(), error.invalid().unwrap().reason().to_owned()),
    }
}

#[test]
fn a_condition_speaks_of_what_its_step_needs() {
    assert_eq!(refused(Condition::all([Condition::succeeded("a"), Condition::skipped("b")])).0, "");
    let (field, reason) = refused(Condition::succeeded("c"));
    assert_eq!(field, "plan.steps.ship.when.succeeded");
    assert_eq!(reason, "\"c\" is no step that \"ship\" needs, directly or through others");
    assert_eq!(refused(!Condition::skipped("ship")).0, "plan.steps.ship.when.not.skipped");
    let (field, reason) = refused(Condition::any([Condition::succeeded("a"), of("nobody").exists()]));
    assert_eq!((field.as_str(), reason.as_str()), ("plan.steps.ship.when.any[1].output.step", "there is no step \"nobody\""));
    let later = Plan::builder()
        .step("a", "x", |s| s.needs(["b"]).when(Condition::succeeded("b")))
        .approval("b", Role::Admin, |s| s.needs(["c"]).when(Condition::succeeded("a")))
        .step("c", "x", |s| s);
    assert_eq!(later.build().unwrap_err().invalid().unwrap().field(), "plan.steps.b.when.succeeded");
    let alone = Plan::builder().step("a", "x", |s| s.when(Condition::succeeded("a"))).build().unwrap_err();
    assert_eq!(alone.invalid().unwrap().field(), "plan.steps.a.when.succeeded");
}

/// More steps are spoken of than fit into one word of bits.
#[test]
fn needs_through_others_are_found_in_large_plans() {
    let mut builder = Plan::builder();
    for n in 0..200_usize {
        let before = n.checked_sub(1).map(|before| format!("s{before}"));
        builder = builder.step(format!("s{n}"), "x", |s| match n {
            0 => s,
            _ => s.needs(before).when(Condition::any([Condition::succeeded("s0"), Condition::succeeded(format!("s{}", n - 1))])),
        });
    }
    let all = Condition::all((0..90).map(|n| Condition::succeeded(format!("s{}", 2 * n))));
    let plan = builder.clone().step("end", "x", |s| s.needs(["s199"]).when(all.clone())).build().unwrap();
    assert_eq!(Plan::decode(&plan.encode().unwrap().1).unwrap(), plan);
    let early = builder.step("end", "x", |s| s.needs(["s177"]).when(all)).build().unwrap_err();
    assert_eq!(early.invalid().unwrap().field(), "plan.steps.end.when.all[89].succeeded");
}

#[test]
fn a_condition_has_bounds() {
    let field = |condition| refused(condition).0;
    let yes = || Condition::succeeded("b");
    assert_eq!(field(Condition::All(Vec::new())), "plan.steps.ship.when.all");
    assert_eq!(field(!Condition::Any(Vec::new())), "plan.steps.ship.when.not.any");
    assert_eq!(field(of("b").one_of(Vec::<Value>::new())), "plan.steps.ship.when.output.is.one_of");
    assert_eq!(field(of("b").less_than("9")), "plan.steps.ship.when.output.is.less_than");
    assert_eq!(field(of("b").greater_than(f64::NAN)), "plan.steps.ship.when.output.is.greater_than");
    for pointer in ["a", "/a~", "/~2", "a/b"] {
        assert_eq!(field(of("b").at(pointer).exists()), "plan.steps.ship.when.output.at", "{pointer}");
    }
    for pointer in ["", "/", "/a~0~1/0", "//"] {
        assert_eq!(field(of("b").at(pointer).exists()), "", "{pointer}");
    }

    let nested = |depth: usize| (1..depth).fold(yes(), |inner, _| Condition::all([inner]));
    assert_eq!(field(nested(MAX_CONDITION_DEPTH)), "");
    assert_eq!(field(nested(MAX_CONDITION_DEPTH + 1)), format!("plan.steps.ship.when{}", ".all[0]".repeat(MAX_CONDITION_DEPTH)));
    let value = |depth: usize| (0..depth).fold(json!(1), |inner, _| Value::from(vec![inner]));
    assert_eq!(field(of("b").equals(value(MAX_CONDITION_DEPTH - 2))), "");
    assert_eq!(field(of("b").equals(value(MAX_CONDITION_DEPTH - 1))), "plan.steps.ship.when.output.is.equals");
    assert_eq!(field(of("b").equals(value(1000))), "plan.steps.ship.when.output.is.equals");

    let many = |count: usize| Condition::any((1..count).map(|_| yes()));
    assert_eq!(field(many(MAX_CONDITION_PARTS)), "");
    assert_eq!(field(many(MAX_CONDITION_PARTS + 1)), format!("plan.steps.ship.when.any[{}]", MAX_CONDITION_PARTS - 1));
    let (field, reason) = refused(of("b").equals("x".repeat(MAX_CONDITION_BYTES)));
    assert_eq!(field, "plan.steps.ship.when");
    assert!(reason.ends_with("at most 16384 are accepted"), "{reason}");
}

const POINTERS: [&str; 7] = ["", "/", "/a", "/a/0", "/1", "/~0b", "not a pointer"];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-4_i32..4).prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(prop::sample::select(vec!["a", "1", "~b"]), inner, 0..3)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn step() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn condition() -> impl Strategy<Value = Condition> {
    let is = prop_oneof![
        Just(ValueTest::Exists),
        value().prop_map(ValueTest::Equals),
        proptest::collection::vec(value(), 0..3).prop_map(ValueTest::OneOf),
        value().prop_map(ValueTest::LessThan),
        value().prop_map(ValueTest::GreaterThan),
    ];
    let at = prop::sample::select(POINTERS.to_vec()).prop_map(str::to_owned);
    let leaf = prop_oneof![
        step().prop_map(Condition::Succeeded),
        step().prop_map(Condition::Skipped),
        (step(), at, is).prop_map(|(step, at, is)| Condition::Output(OutputTest { step, at, is })),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Condition::All),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Condition::Any),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

/// What became of some of the steps: an output, none, or skipped.
fn outcomes() -> impl Strategy<Value = BTreeMap<String, Option<Option<Value>>>> {
    proptest::collection::btree_map(step(), proptest::option::of(proptest::option::of(value())), 0..4)
}

proptest! {
    #[test]
    fn every_condition_has_an_answer(condition in condition(), other in condition(), outcomes in outcomes()) {
        let done = |step: &str| {
            outcomes.get(step).map(|outcome| outcome.as_ref().map_or(Done::Skipped, |output| Done::Succeeded(output.as_ref())))
        };
        let answer = condition.holds(&done);
        prop_assert_eq!((!condition.clone()).holds(&done), !answer);
        let both = Condition::all([condition.clone(), other.clone()]).holds(&done);
        prop_assert_eq!(both, answer && other.holds(&done));
        prop_assert_eq!((!Condition::any([!condition.clone(), !other])).holds(&done), both);
        prop_assert!(!condition.to_string().is_empty());
    }

    #[test]
    fn what_is_written_is_read_back(condition in condition()) {
        let json = serde_json::to_string(&condition).unwrap();
        prop_assert_eq!(serde_json::from_str::<Condition>(&json).unwrap(), condition);
    }
}
