use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;
/// 2026-01-31T23:30:00Z.
const LATE: Timestamp = Timestamp::from_millis(1_769_902_200_000);

#[test]
fn windows_are_hours_days_and_months_of_utc() {
    for (per, begin, end) in [
        (Per::Hour, "2026-01-31T23:00:00.000Z", "2026-02-01T00:00:00.000Z"),
        (Per::Day, "2026-01-31T00:00:00.000Z", "2026-02-01T00:00:00.000Z"),
        (Per::Month, "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"),
    ] {
        assert_eq!((per.begin(LATE).to_string(), per.end(LATE).to_string()), (begin.to_owned(), end.to_owned()));
        assert_eq!(per.begin(per.end(LATE)), per.end(LATE), "the end is the next one's begin");
        assert_eq!(per.end(per.begin(LATE)), per.end(LATE));
    }
    let leap = Timestamp::from_millis(1_835_439_000_000);
    assert_eq!(Per::Month.end(leap).to_string(), "2028-03-01T00:00:00.000Z");
    // Nothing panics where time ends.
    for at in [i64::MIN, i64::MAX] {
        let at = Timestamp::from_millis(at);
        let _ = Per::ALL.map(|per| (per.begin(at), per.end(at)));
    }
}

fn spent(budget: &BedrockBudget, seen: &Tallies, calls: u64, tokens: u64) -> BudgetSpent {
    budget.admit(&budget.standing(seen, LATE), Cost { calls, tokens }, LATE).unwrap_err()
}

#[test]
fn a_refusal_names_the_limit_and_when_it_is_renewed() {
    let budget = BedrockBudget::new().calls(Per::Hour, 2).tokens(Per::Month, 100);
    let tally = |per: Per, calls, tokens| (per, Tally { begun: per.begin(LATE), calls, tokens });
    let seen = Tallies::from([tally(Per::Hour, 2, 40), tally(Per::Month, 9, 40)]);
    let refusal = spent(&budget, &seen, 1, 60);
    assert_eq!((refusal.per, refusal.counted, refusal.used, refusal.asked), (Per::Hour, Counted::Calls, 2, 1));
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(1800)));
    let text = "the actor's budget of 2 calls of models per hour has no room for this (2 used, up to 1 asked for); it is \
                renewed at 2026-02-01T00:00:00.000Z";
    assert_eq!(refusal.to_string(), text);

    // What never fits says so, whatever else is in the way.
    let refusal = spent(&budget, &seen, 1, 101);
    assert_eq!((refusal.per, refusal.renewed_at, refusal.retry_after()), (Per::Month, None, None));
    assert!(refusal.to_string().starts_with("this may take 101 tokens of models, more than"), "{refusal}");
}

#[test]
fn of_several_limits_the_one_that_lasts_longest_counts() {
    let budget = BedrockBudget::new().calls(Per::Hour, 1).calls(Per::Day, 1).calls(Per::Month, 1);
    let early = Timestamp::from_millis(LATE.as_millis() - 400 * HOUR);
    let seen = Per::ALL.map(|per| (per, Tally { begun: per.begin(early), calls: 1, tokens: 0 })).into();
    let refusal = budget.admit(&budget.standing(&seen, early), Cost { calls: 1, tokens: 0 }, early).unwrap_err();
    assert_eq!(refusal.per, Per::Month);
    // Later, the day is another one.
    assert_eq!(spent(&budget, &seen, 1, 0).per, Per::Month);
    assert_eq!(budget.standing(&seen, LATE)[&Per::Day].calls, 0);
}

#[test]
fn a_clock_that_is_behind_does_not_bring_a_window_back() {
    let budget = BedrockBudget::new().calls(Per::Hour, 5);
    let next = Per::Hour.end(LATE);
    let seen = Tallies::from([(Per::Hour, Tally { begun: next, calls: 3, tokens: 0 })]);
    assert_eq!(budget.standing(&seen, LATE), seen);
}

#[test]
fn allowances_say_what_is_left() {
    let budget = BedrockBudget::new().calls(Per::Day, 10).tokens(Per::Month, 100);
    let seen = Tallies::from([(Per::Day, Tally { begun: Per::Day.begin(LATE), calls: 4, tokens: 30 })]);
    let [day, month] = budget.allowances(&budget.standing(&seen, LATE))[..] else { unreachable!("two windows") };
    assert_eq!((day.per, day.calls_left(), day.tokens_left()), (Per::Day, Some(6), None));
    assert_eq!((month.per, month.calls_left(), month.tokens_left()), (Per::Month, None, Some(100)));
    assert_eq!(month.renewed_at.to_string(), "2026-02-01T00:00:00.000Z");
}

#[test]
fn a_limit_below_one_answer_is_found() {
    let budget = BedrockBudget::new().tokens(Per::Day, 5000).tokens(Per::Hour, 1000);
    assert_eq!(budget.too_small(), Some((Per::Hour, 1000)));
    assert_eq!(budget.answer_tokens(1000).too_small(), None);
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A call begins that may take so many tokens.
    Reserve(u64),
    /// The call under way with this number (modulo how many there are) ends, having used this share (of 255).
    Settle(usize, u8),
    /// Its process dies: nobody settles it.
    Die(usize),
    /// It is refused by the model, and given back.
    GiveBack(usize),
    /// Time passes, in minutes.
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..60).prop_map(Step::Reserve),
        3 => (any::<usize>(), any::<u8>()).prop_map(|(which, share)| Step::Settle(which, share)),
        1 => any::<usize>().prop_map(Step::Die),
        1 => any::<usize>().prop_map(Step::GiveBack),
        1 => (0i64..3000).prop_map(Step::Pass),
    ]
}

/// What storage does, in memory: the same decisions, one step after the other.
#[derive(Default)]
struct Books {
    tallies: Tallies,
}

impl Books {
    fn reserve(&mut self, budget: &BedrockBudget, cost: Cost, now: Timestamp) -> Result<Reservation, BudgetSpent> {
        let standing = budget.standing(&self.tallies, now);
        budget.admit(&standing, cost, now)?;
        self.tallies = standing.iter().map(|(per, tally)| (*per, tally.plus(cost))).collect();
        Ok(Reservation { cost, begun: standing.iter().map(|(per, tally)| (*per, tally.begun)).collect() })
    }

    fn settle(&mut self, reservation: &Reservation, used: Cost) {
        let (calls, tokens) = reservation.difference(used);
        for (per, tally) in &mut self.tallies {
            if reservation.begun.get(per) == Some(&tally.begun) {
                tally.calls = tally.calls.checked_add_signed(calls).expect("never below zero");
                tally.tokens = tally.tokens.checked_add_signed(tokens).expect("never below zero");
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_spent_and_what_is_reserved_stay_within_the_limits(
        steps in prop::collection::vec(step(), 1..80),
        calls in 1u64..12, tokens in 1u64..200, day in 1u64..400,
    ) {
        let budget = BedrockBudget::new().calls(Per::Hour, calls).tokens(Per::Hour, tokens).tokens(Per::Day, day);
        let (mut books, mut now) = (Books::default(), LATE);
        let mut running: Vec<Reservation> = Vec::new();
        // What really happened: (when its window began, what it cost or holds), by window.
        let mut truth: BTreeMap<(Per, Timestamp), Cost> = BTreeMap::new();
        let note = |truth: &mut BTreeMap<_, Cost>, reservation: &Reservation, used: Cost| {
            for (per, begun) in &reservation.begun {
                let cost = truth.entry((*per, *begun)).or_default();
                *cost = Cost { calls: cost.calls + used.calls, tokens: cost.tokens + used.tokens };
            }
        };
        for step in steps {
            match step {
                Step::Pass(minutes) => now = now.plus(Duration::from_secs(60 * minutes as u64)),
                Step::Reserve(tokens) => {
                    let cost = Cost { calls: 1, tokens };
                    if let Ok(reservation) = books.reserve(&budget, cost, now) {
                        running.push(reservation);
                    }
                }
                Step::Settle(..) | Step::Die(_) | Step::GiveBack(_) if running.is_empty() => {}
                Step::Settle(which, share) => {
                    let reservation = running.swap_remove(which % running.len());
                    let used = Cost { calls: 1, tokens: reservation.cost.tokens * u64::from(share) / 255 };
                    books.settle(&reservation, used);
                    note(&mut truth, &reservation, used);
                }
                Step::Die(which) => {
                    let reservation = running.swap_remove(which % running.len());
                    note(&mut truth, &reservation, reservation.cost);
                }
                Step::GiveBack(which) => {
                    let reservation = running.swap_remove(which % running.len());
                    books.settle(&reservation, Cost::default());
                }
            }
            let mut expected = truth.clone();
            running.iter().for_each(|reservation| note(&mut expected, reservation, reservation.cost));
            for (per, tally) in &books.tallies {
                let cost = expected.get(&(*per, tally.begun)).copied().unwrap_or_default();
                prop_assert_eq!((tally.calls, tally.tokens), (cost.calls, cost.tokens), "{}", per);
            }
            for ((per, _), cost) in &expected {
                let (most_calls, most_tokens) = budget.room_for(*per, Cost::default());
                prop_assert!(most_calls.is_none_or(|most| cost.calls <= most), "{} {:?}", per, cost);
                prop_assert!(most_tokens.is_none_or(|most| cost.tokens <= most), "{} {:?}", per, cost);
            }
        }
    }
}
