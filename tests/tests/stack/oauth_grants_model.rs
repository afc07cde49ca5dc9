//! Random sequences of what clients and owners do with grants, over HTTP, on storage that fails, against a model.
//!
//! Whatever happens: from one code there is never more than one family of tokens, and none once the code came twice; a
//! refresh token that was replaced gives the same successors for a minute and ends everything after that; whoever uses
//! the newest token it was given always gets on; and nothing that ended ever comes back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::oauth::Audience;
use actingweb_protocol::{Clock as _, Timestamp};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::grants::Grantee;
use actingweb_tests::{Faults, Owner, Site};
use futures_util::future::join_all;
use serde_json::Value;

use crate::list_model::Dice;
use crate::oauth_grants::{app, get};

const TYPES: [&str; 3] = ["viewer", "friend", "mcp_client"];

/// How many ask for the same thing at once.
const AT_ONCE: usize = 20;

/// What came of one code.
struct Family {
    client: usize,
    code: String,
    consented_at: Timestamp,
    used: bool,
    /// Why it counts for nothing any more, if it does not.
    ended: Option<&'static str>,
    /// Access and refresh token of each generation, from the first, and when it began.
    tokens: Vec<(String, String, Timestamp)>,
}

impl Family {
    /// Whether the access token of a generation is good.
    fn is_good(&self, generation: usize, now: Timestamp) -> bool {
        let recent = generation + 2 >= self.tokens.len();
        self.ended.is_none() && recent && now < self.tokens[generation].2.plus(Duration::from_secs(3600))
    }
}

struct World<'a> {
    site: &'a Site,
    clock: &'a FakeClock,
    owner: Owner,
    clients: Vec<Grantee<'a>>,
    families: Vec<Family>,
    /// What happened, for messages.
    story: Vec<String>,
}

impl World<'_> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    async fn consent(&mut self, dice: &mut Dice) {
        let client = dice.below(self.clients.len());
        let code = self.clients[client].consent(&self.owner, Audience::Rest, TYPES[dice.below(TYPES.len())]).await;
        self.tell(format!("client {client} gets code {}", self.families.len()));
        let consented_at = self.now();
        self.families.push(Family { client, code, consented_at, used: false, ended: None, tokens: Vec::new() });
    }

    /// Exchanges a code, `times` at once.
    async fn exchange(&mut self, at: usize, times: usize) {
        let now = self.now();
        let Family { client, code, consented_at, used, ended, .. } = &self.families[at];
        let is_good = ended.is_none() && !used && now < consented_at.plus(Duration::from_secs(120));
        let was_used = *used;
        let client = &self.clients[*client];
        let answers = join_all((0..times).map(|_| client.exchange(code))).await;
        self.tell(format!("code {at} is exchanged {times} times: {:?}", statuses(&answers)));
        let given: Vec<Value> = answers.iter().filter(|one| one.status == 200).map(|one| one.json()).collect();
        let least = usize::from(is_good && times == 1);
        assert!(given.len() <= usize::from(is_good) && given.len() >= least, "{:#?}", self.story);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!((answer.status, &answer.json()["error"]), (400, &"invalid_grant".into()), "{:#?}", self.story);
        }
        let family = &mut self.families[at];
        for tokens in given {
            family.tokens.push(read(&tokens, now));
        }
        family.used |= is_good;
        if was_used || (is_good && times > 1) {
            family.ended.get_or_insert("its code came twice");
        }
    }

    /// Refreshes with the tokens of a generation, `times` at once.
    async fn refresh(&mut self, at: usize, generation: usize, times: usize) {
        let now = self.now();
        let family = &self.families[at];
        let client = &self.clients[family.client];
        let newest = family.tokens.len() - 1;
        let in_grace = now <= family.tokens[newest].2.plus(Duration::from_secs(60));
        let token = &family.tokens[generation].1;
        let answers = join_all((0..times).map(|_| client.refresh(token))).await;
        self.story
            .push(format!("{at} is refreshed {times} times with {generation} of {newest}: {:?}", statuses(&answers)));
        let expected = match &family.ended {
            Some(_) => None,
            None if generation == newest => Some(newest + 1),
            None if generation + 1 == newest && in_grace => Some(newest),
            None => None,
        };
        let Some(expected) = expected else {
            for answer in answers {
                assert_eq!(
                    (answer.status, &answer.json()["error"]),
                    (400, &"invalid_grant".into()),
                    "{:#?}",
                    self.story
                );
            }
            self.families[at].ended.get_or_insert("a token came again too late");
            return;
        };
        let given: HashSet<_> = answers
            .into_iter()
            .map(|answer| {
                assert_eq!(answer.status, 200, "{}: {:#?}", answer.body, self.story);
                let (access, refresh, _) = read(&answer.json(), now);
                (access, refresh)
            })
            .collect();
        assert_eq!(given.len(), 1, "all who ask with one token get the same: {:#?}", self.story);
        let (access, refresh) = given.into_iter().next().unwrap();
        let family = &mut self.families[at];
        match family.tokens.get(expected) {
            Some((known, and, _)) => assert_eq!((known, and), (&access, &refresh), "{:#?}", self.story),
            None => {
                let is_new = family.tokens.iter().all(|(known, and, _)| *known != access && *and != refresh);
                assert!(is_new, "{:#?}", self.story);
                family.tokens.push((access, refresh, now));
            }
        }
    }

    async fn revoke(&mut self, at: usize, generation: usize, refresh: bool) {
        let family = &self.families[at];
        let (access, refresh_token, _) = &family.tokens[generation];
        let token = if refresh { refresh_token } else { access };
        self.clients[family.client].revoke(token).await.expect(200);
        self.tell(format!("{at} is revoked by {generation}"));
        self.families[at].ended.get_or_insert("it was revoked");
    }

    /// Ends the relationship with a client.
    async fn end_trust(&mut self, client: usize) {
        let peer = format!("oauth2_client:{}", self.clients[client].id);
        let trusts = self.owner.get(&format!("/trust?peerid={peer}")).await.expect(200).json();
        for trust in trusts.as_array().unwrap() {
            let relationship = trust["relationship"].as_str().unwrap();
            self.owner.delete(&format!("/trust/{relationship}/{peer}")).await.expect(204);
        }
        self.tell(format!("the relationship with client {client} ends"));
        for family in self.families.iter_mut().filter(|family| family.client == client) {
            family.ended.get_or_insert("its relationship ended");
        }
    }

    /// Asserts that each access token is good or not as the model says.
    async fn look(&mut self, at: usize) {
        let now = self.now();
        let family = &self.families[at];
        for (generation, (access, ..)) in family.tokens.iter().enumerate() {
            let expected = if family.is_good(generation, now) { 200 } else { 401 };
            let answer = get(&self.owner, "/methods", access).await;
            assert_eq!(answer.status, expected, "{at}, {generation}: {}: {:#?}", answer.body, self.story);
        }
    }

    async fn step(&mut self, dice: &mut Dice) {
        let with_tokens = |family: &Family| !family.tokens.is_empty();
        let issued: Vec<usize> = (0..self.families.len()).filter(|at| with_tokens(&self.families[*at])).collect();
        // Mostly those that live: what ended is soon dull.
        let living: Vec<usize> = issued.iter().copied().filter(|at| self.families[*at].ended.is_none()).collect();
        let some = if living.is_empty() || dice.below(8) == 0 { &issued } else { &living };
        let some = (!some.is_empty()).then(|| some[dice.below(some.len())]);
        match (dice.below(24), some) {
            (0..=2, _) => self.consent(dice).await,
            (3..=6, _) if !self.families.is_empty() => {
                let fresh: Vec<usize> = (0..self.families.len()).filter(|at| !self.families[*at].used).collect();
                let any = fresh.is_empty() || dice.below(6) == 0;
                let at = if any { dice.below(self.families.len()) } else { fresh[dice.below(fresh.len())] };
                self.exchange(at, if dice.below(8) == 0 { 3 } else { 1 }).await;
            }
            (7..=12, Some(at)) => self.refresh(at, self.families[at].tokens.len() - 1, 1).await,
            (13, Some(at)) => self.refresh(at, self.families[at].tokens.len() - 1, AT_ONCE).await,
            (14..=15, Some(at)) => {
                let generation = self.families[at].tokens.len().saturating_sub(2);
                self.refresh(at, generation, if dice.below(4) == 0 { AT_ONCE } else { 1 }).await;
            }
            (16, Some(at)) => {
                let generation = dice.below(self.families[at].tokens.len());
                self.refresh(at, generation, 1).await;
            }
            (17, Some(at)) if dice.below(2) == 0 => {
                let generation = dice.below(self.families[at].tokens.len());
                self.revoke(at, generation, dice.below(2) == 0).await;
            }
            (18, _) if dice.below(3) == 0 => self.end_trust(dice.below(self.clients.len())).await,
            (19, _) => {
                self.site.drain().await;
                self.tell("the worker works".to_owned());
            }
            (20..=22, _) => {
                let seconds = [1, 20, 59, 61, 121, 1800, 3600][dice.below(7)];
                self.clock.advance(Duration::from_secs(seconds));
                self.tell(format!("{seconds} s pass"));
            }
            (_, Some(at)) => self.look(at).await,
            _ => {}
        }
    }

    /// Whoever uses the newest token it was given gets on, and what ended stays so.
    async fn end(&mut self) {
        for at in 0..self.families.len() {
            self.look(at).await;
            if let Some(newest) = self.families[at].tokens.len().checked_sub(1) {
                self.refresh(at, newest, 1).await;
                self.look(at).await;
            }
        }
    }
}

fn statuses(answers: &[actingweb_tests::Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

fn read(tokens: &Value, now: Timestamp) -> (String, String, Timestamp) {
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"), now)
}

/// How storage fails in the sequence of a seed: every second time not at all.
fn faults(seed: u64) -> Faults {
    if seed.is_multiple_of(2) {
        return Faults::none();
    }
    Faults {
        throttle: 0.03,
        transaction_conflict: 0.1,
        unprocessed_keys: 0.05,
        drop_reply_after_apply: 0.1,
        seed,
        ..Faults::none()
    }
}

async fn sequence(seed: u64, steps: usize) {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), Arc::new(clock.clone())).await;
    let owner = site.actor("ann").await;
    let clients = vec![Grantee::public(&site).await, Grantee::confidential(&site).await];
    let mut world = World { site: &site, clock: &clock, owner, clients, families: Vec::new(), story: Vec::new() };
    world.tell(format!("seed {seed}"));
    site.meter().inject(faults(seed));
    let mut dice = Dice(seed);
    for _ in 0..steps {
        world.step(&mut dice).await;
    }
    site.meter().heal();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_behave_as_the_model_whatever_the_sequence() {
    for seed in 1..=8 {
        sequence(seed, 120).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/long runs it"]
async fn grants_behave_as_the_model_in_many_sequences() {
    for seed in 100..300 {
        sequence(seed, 300).await;
    }
}
