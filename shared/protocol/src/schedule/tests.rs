use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(text: &str) -> Timestamp {
    timestamp(text.parse().unwrap())
}

fn cron(expression: &str, zone: &str) -> Timing {
    Timing::cron(expression, zone).unwrap()
}

/// The next times, as UTC.
fn times(timing: &Timing, after: &str, count: usize) -> Vec<String> {
    let begun = at(after);
    let next = |last: &Timestamp| timing.next(begun, *last);
    let all = std::iter::successors(next(&begun), next).take(count);
    all.map(|time| time.to_string().replace(":00.000Z", "Z")).collect()
}

fn refusal(body: Value) -> String {
    let Value::Object(members) = body else { panic!("an object") };
    let now = at("2026-11-22T12:00:00Z");
    match NewSchedule::read(members).and_then(|new| new.first(now)) {
        Ok(next) => panic!("{next}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_clock_is_that_of_the_place() {
    let oslo = cron("0 8 * * MON-FRI", "Europe/Oslo");
    // A Friday in winter, and the Monday after clocks were put forward.
    assert_eq!(
        times(&oslo, "2026-03-26T12:00:00Z", 3),
        ["2026-03-27T07:00Z", "2026-03-30T06:00Z", "2026-03-31T06:00Z"]
    );
}

#[test]
fn a_time_that_does_not_occur_stands_for_the_moment_after_the_gap() {
    // 02:00 to 03:00 on 29 March 2026 do not exist in Oslo.
    let daily = cron("30 2 * * *", "Europe/Oslo");
    assert_eq!(
        times(&daily, "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"]
    );
}

#[test]
fn a_time_that_occurs_twice_counts_once() {
    // 02:00 to 03:00 on 25 October 2026 come twice in Oslo: from 00:00 and from 01:00 UTC.
    let daily = cron("30 2 * * *", "Europe/Oslo");
    assert_eq!(
        times(&daily, "2026-10-23T12:00:00Z", 3),
        ["2026-10-24T00:30Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"]
    );
}

#[test]
fn steps_follow_elapsed_time_when_clocks_change() {
    let steps = cron("*/30 * * * *", "Europe/Oslo");
    assert_eq!(
        times(&steps, "2026-03-29T00:15:00Z", 3),
        ["2026-03-29T00:30Z", "2026-03-29T01:00Z", "2026-03-29T01:30Z"]
    );
    assert_eq!(
        times(&steps, "2026-10-25T00:15:00Z", 4).join(" "),
        "2026-10-25T00:30Z 2026-10-25T01:00Z 2026-10-25T01:30Z 2026-10-25T02:00Z"
    );
}

#[test]
fn rare_days_are_found_and_those_that_never_come_are_refused() {
    assert_eq!(
        times(&cron("0 0 29 2 *", "UTC"), "2026-01-01T00:00:00Z", 2),
        ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]
    );
    assert_eq!(times(&cron("0 0 L * *", "UTC"), "2026-02-01T00:00:00Z", 1), ["2026-02-28T00:00Z"]);
    assert_eq!(
        refusal(json!({ "cron": "0 0 30 2 *" })),
        "there is no such time: no day of the next ten years matches `cron`"
    );
}

#[test]
fn spans_are_read_and_written_in_their_greatest_units() {
    for (text, shown) in
        [("PT15M", "PT15M"), ("PT90M", "PT1H30M"), ("P1D", "P1D"), ("P1W", "P7D"), ("PT100S", "PT1M40S")]
    {
        let period = Period::parse(text).unwrap();
        assert_eq!(period.to_string(), shown);
        assert_eq!(Period::parse(shown), Ok(period));
    }
    let every = Timing::every(Duration::from_secs(900)).unwrap();
    assert_eq!(times(&every, "2026-11-22T12:07:00Z", 2), ["2026-11-22T12:22Z", "2026-11-22T12:37Z"]);
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    let said = |body: Value, parts: &[&str]| {
        let text = refusal(body);
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    said(json!({}), &["`at`", "`every`", "`cron`"]);
    said(json!({ "at": "2027-01-01T00:00:00Z", "every": "PT1H" }), &["one of"]);
    said(json!({ "evry": "PT1H" }), &["`evry`", "every"]);
    said(json!({ "at": 5 }), &["`at` must be a string"]);
    said(json!({ "at": "2027-01-01T00:00:00" }), &["`at`", "offset"]);
    said(json!({ "at": "2026-01-01T00:00:00Z" }), &["`at` has passed"]);
    said(json!({ "at": "2126-01-01T00:00:00Z" }), &["ten years"]);
    said(json!({ "every": "15 minutes" }), &["`every`", "PT15M"]);
    said(json!({ "every": "PT59S" }), &["`every`", "minute"]);
    said(json!({ "every": "-PT1H" }), &["`every`"]);
    said(json!({ "every": "P1M" }), &["`every`", "`cron`"]);
    said(json!({ "every": "P400D" }), &["`every`", "366 days"]);
    said(json!({ "every": "PT90.5S" }), &["`every`", "whole seconds"]);
    said(json!({ "every": "PT1H", "time_zone": "UTC" }), &["`time_zone`", "`cron`"]);
    said(json!({ "cron": "0 8 * *" }), &["`cron`", "five fields", "it has 4"]);
    said(json!({ "cron": "0 8 * * * *" }), &["`cron`", "five fields", "it has 6"]);
    said(json!({ "cron": "0 25 * * *" }), &["`cron`", "hour", "`25`", "0-23"]);
    said(json!({ "cron": "0 8 * * FREITAG" }), &["`cron`", "day of week", "`FREITAG`"]);
    said(json!({ "cron": "0 8 * * *", "time_zone": "Europe/Olso" }), &["`time_zone`", "`Europe/Olso`"]);
    said(json!({ "cron": "0 8 * * *", "time_zone": "" }), &["`time_zone`"]);
    said(json!({ "every": "PT1H", "until": "2026-11-22T12:30:00Z" }), &["`until` ends before"]);
    said(json!({ "every": "PT1H", "name": "n".repeat(201) }), &["`name`", "200"]);
    said(json!({ "every": "PT1H", "input": "n".repeat(40_000) }), &["`input`", "32000"]);
}

#[test]
fn a_late_run_is_made_once_and_says_what_it_missed() {
    let (begun, every) = (at("2026-11-22T12:00:00Z"), Timing::every(Duration::from_secs(60)).unwrap());
    let planned = at("2026-11-22T12:01:00Z");
    let prompt = every.following(begun, planned, at("2026-11-22T12:02:59Z"));
    assert_eq!(prompt, Following { next: Some(at("2026-11-22T12:02:00Z")), missed: 0 });
    let late = every.following(begun, planned, at("2026-11-22T13:00:30Z"));
    assert_eq!(late, Following { next: Some(at("2026-11-22T13:01:00Z")), missed: 59 });
    let once = Timing::At(planned).following(begun, planned, at("2026-11-23T00:00:00Z"));
    assert_eq!(once, Following { next: None, missed: 0 });
    let years = every.following(begun, planned, at("2028-11-22T13:00:30Z"));
    assert_eq!(years, Following { next: Some(at("2028-11-22T13:01:00Z")), missed: 10_000 });
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Oslo",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
];

fn timing() -> impl Strategy<Value = Timing> {
    let minute =
        prop_oneof![(0u8..60).prop_map(|minute| minute.to_string()), Just("*/7".to_owned()), Just("*".to_owned())];
    let hour = prop_oneof![(0u8..24).prop_map(|hour| hour.to_string()), Just("*".to_owned()), Just("1-5".to_owned())];
    let day = prop_oneof![Just("*"), Just("1,15"), Just("L"), Just("31")];
    let weekday = prop_oneof![Just("*"), Just("MON-FRI"), Just("0")];
    let crons = (minute, hour, day, weekday, prop::sample::select(ZONES.as_slice()))
        .prop_map(|(minute, hour, day, weekday, zone)| cron(&format!("{minute} {hour} {day} * {weekday}"), zone));
    prop_oneof![
        3 => crons,
        1 => (60u64..1_000_000).prop_map(|secs| Timing::every(Duration::from_secs(secs)).unwrap()),
    ]
}

/// Milliseconds of the years 2020 to 2035.
fn moments() -> impl Strategy<Value = Timestamp> {
    (1_577_836_800_000i64..2_082_758_400_000).prop_map(Timestamp::from_millis)
}

proptest! {
    #[test]
    fn the_next_time_is_later_and_nothing_lies_between(timing in timing(), begun in moments(), wait in 0i64..10_000_000_000) {
        let after = Timestamp::from_millis(begun.as_millis() + wait);
        let next = timing.next(begun, after).unwrap();
        prop_assert!(next > after);
        // Whoever asks later, but before that time, is told the same; so nothing is skipped and nothing comes twice.
        for part in [1, 2, 3] {
            let between = Timestamp::from_millis(after.as_millis() + (next.as_millis() - after.as_millis()) * part / 4);
            prop_assert_eq!(timing.next(begun, between), Some(next));
        }
        let just_before = Timestamp::from_millis(next.as_millis() - 1);
        prop_assert_eq!(timing.next(begun, just_before), Some(next));
        prop_assert!(timing.next(begun, next).unwrap().as_millis() - next.as_millis() >= 60_000);
    }

    #[test]
    fn a_daily_time_comes_once_on_every_day_of_the_place(minute in 0i8..60, hour in 0i8..24, zone in prop::sample::select(ZONES.as_slice()), from in moments()) {
        let daily = cron(&format!("{minute} {hour} * * *"), zone);
        let zone = TimeZone::get(zone).unwrap();
        let mut last = from;
        let mut days = Vec::new();
        for _ in 0..400 {
            last = daily.next(from, last).unwrap();
            let local = moment(last).unwrap().to_zoned(zone.clone());
            days.push(local.date());
        }
        prop_assert!(days.windows(2).all(|pair| pair[0] < pair[1]), "{days:?}");
    }

    #[test]
    fn what_is_written_down_is_read_again(timing in timing()) {
        let members = timing.members();
        let read = Timing::read(|name| members.iter().find(|(member, _)| *member == name).map(|(_, text)| text.as_str()));
        prop_assert_eq!(read, Ok(timing));
    }

    #[test]
    fn strangers_texts_are_refused_without_harm(text in "[0-9*,/LW#?@A-Z -]{0,20}") {
        if let Ok(timing) = Timing::cron(&text, "Europe/Oslo") {
            let from = at("2026-11-22T12:00:00Z");
            if let Some(next) = timing.next(from, from) { prop_assert!(next > from) }
        }
    }
}
