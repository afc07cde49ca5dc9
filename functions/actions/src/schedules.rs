//! `/{actor}/actions/{action}/schedules`: when an action is run by itself.
//!
//! ```text
//! GET POST     /schedules        those of the action, the latest first; make one
//! GET DELETE   /schedules/{id}   one, with its latest runs; cancel it
//! ```
//!
//! Whoever may call the action may do this. The creator sees all schedules, others their own.

use actingweb_actor::schedules::{PastRun, Schedule, ScheduleState, Schedules, SchedulingError};
use actingweb_protocol::Name;
use actingweb_protocol::schedule::NewSchedule;
use actingweb_protocol::task::TaskId;
use actingweb_web::paging::Page;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, Verb, json, no_content};
use http::{StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// What is escaped in a segment of a path (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How many schedules are listed when the request does not say.
const USUAL_LIMIT: usize = 100;

/// A request about the schedules of one action.
pub(crate) struct Request<'a> {
    pub(crate) state: &'a AppState,
    pub(crate) incoming: &'a Incoming,
    pub(crate) admission: &'a Admission,
    pub(crate) action: &'a Name,
}

impl Request<'_> {
    /// Answers a request for all schedules, or for the one with this id.
    pub(crate) async fn answer(&self, id: Option<&str>) -> Reply {
        match (id, self.incoming.verb) {
            (None, Verb::Get) => self.list().await,
            (None, Verb::Post) => self.incoming.once(self.state, Some(self.admission), self.create()).await,
            (None, _) => Err(Problem::method_not_allowed("GET, POST")),
            (Some(id), Verb::Get) => self.get(id).await,
            (Some(id), Verb::Delete) => self.cancel(id).await,
            (Some(_), _) => Err(Problem::method_not_allowed("GET, DELETE")),
        }
    }

    /// 201 with the schedule's URL.
    async fn create(&self) -> Reply {
        if !self.state.hooks.has_action(self.action.as_str()) {
            let action = self.action;
            return Err(Problem::bad_request(format!("there is no action `{action}`, so it cannot be scheduled")));
        }
        let plan = NewSchedule::read(self.incoming.payload.object()?).map_err(SchedulingError::Invalid);
        let plan = plan.map_err(refusal)?;
        self.state.hooks.check_input(self.action.as_str(), &plan.input)?;
        let schedule = self.schedules().create(self.action, plan).await.map_err(refusal)?;
        let mut response = json(StatusCode::CREATED, &self.shown(&schedule));
        response.headers_mut().extend(self.url(&schedule.id).parse().ok().map(|url| (header::LOCATION, url)));
        Ok(response)
    }

    async fn list(&self) -> Reply {
        let page = Page::of(self.incoming)?.unwrap_or(Page { limit: USUAL_LIMIT, cursor: None });
        if page.cursor.as_deref().is_some_and(|cursor| TaskId::parse(cursor).is_err()) {
            return Err(Problem::bad_request("cursor must be one of a former reply"));
        }
        let found = self.schedules().list(self.action, page.cursor.as_deref(), page.limit).await?;
        let shown: Vec<Value> = found.schedules.iter().map(|schedule| self.shown(schedule)).collect();
        let response = json(StatusCode::OK, &json!({ "schedules": shown }));
        Ok(page.link(self.state, self.incoming, found.next.as_deref(), response))
    }

    /// One schedule, with `history`.
    async fn get(&self, id: &str) -> Reply {
        let schedule = self.schedules().get(self.action, id).await?.ok_or_else(no_schedule)?;
        let mut shown = self.shown(&schedule);
        if let Some(members) = shown.as_object_mut() {
            let history = schedule.history.iter().map(|run| self.run(run)).collect();
            members.insert("history".to_owned(), Value::Array(history));
        }
        Ok(json(StatusCode::OK, &shown))
    }

    async fn cancel(&self, id: &str) -> Reply {
        if self.schedules().cancel(self.action, id).await? { Ok(no_content()) } else { Err(no_schedule()) }
    }

    fn schedules(&self) -> Schedules {
        let (actor, caller) = (&self.admission.actor, self.admission.access.caller());
        self.state.actors.schedules(actor, caller, self.incoming.context.deadline)
    }

    fn url(&self, id: &str) -> String {
        let (base, actor, action) = (&self.state.base_url, self.admission.actor.id(), self.encoded_action());
        format!("{base}/{actor}/actions/{action}/schedules/{id}")
    }

    fn encoded_action(&self) -> String {
        utf8_percent_encode(self.action.as_str(), RESERVED).to_string()
    }

    fn shown(&self, schedule: &Schedule) -> Value {
        let (status, reason) = match &schedule.state {
            ScheduleState::Active(_) => ("active", None),
            ScheduleState::Ended => ("ended", None),
            ScheduleState::Suspended(reason) => ("suspended", Some(reason.as_str())),
        };
        let plan = &schedule.plan;
        let mut shown = json!({ "id": schedule.id, "action": schedule.action, "status": status });
        let optional =
            [("reason", reason.map(Value::from)), ("next_at", schedule.next_at().map(|at| at.to_string().into()))];
        let plan_members = plan.timing.members().into_iter().map(|(name, text)| (name, Some(Value::from(text))));
        let rest = [
            ("until", plan.until.map(|at| at.to_string().into())),
            ("input", Some(plan.input.clone()).filter(|input| !input.is_null())),
            ("name", Some(plan.name.as_str()).filter(|name| !name.is_empty()).map(Value::from)),
            ("description", Some(plan.description.as_str()).filter(|text| !text.is_empty()).map(Value::from)),
            ("created_at", Some(schedule.created_at.to_string().into())),
            ("runs", Some(schedule.runs.into())),
            ("missed", Some(schedule.missed.into())),
        ];
        if let Some(members) = shown.as_object_mut() {
            let all = optional.into_iter().chain(plan_members).chain(rest);
            members.extend(all.filter_map(|(name, value)| Some((name.to_owned(), value?))));
        }
        shown
    }

    fn run(&self, run: &PastRun) -> Value {
        let (base, actor, action) = (&self.state.base_url, self.admission.actor.id(), self.encoded_action());
        let mut shown = json!({
            "planned_at": run.planned_at.to_string(),
            "fired_at": run.fired_at.to_string(),
            "task": run.task,
            "url": format!("{base}/{actor}/actions/{action}/tasks/{}", run.task),
        });
        if let Some(members) = shown.as_object_mut() {
            let missed = Some(run.missed).filter(|missed| *missed > 0);
            members.extend(missed.map(|missed| ("missed".to_owned(), missed.into())));
            members.extend(run.status.map(|status| ("status".to_owned(), status.as_str().into())));
        }
        shown
    }
}

fn no_schedule() -> Problem {
    Problem::not_found("there is no such schedule, or no longer")
}

fn refusal(error: SchedulingError) -> Problem {
    match error {
        SchedulingError::Invalid(error) => Problem::bad_request(error.to_string()),
        SchedulingError::Anonymous => Problem::forbidden(error.to_string()),
        SchedulingError::TooMany(_) => Problem::conflict(error.to_string()),
        SchedulingError::Actor(error) => error.into(),
    }
}
