//! Sessions: with what runs were made.

use std::collections::HashMap;

use crate::columnar::blocks::AsJson;
use crate::format::json::Json;
use crate::format::session_context::SessionContext;

/// With what runs were made. A row may name a session that isn't there; it has no context.
#[derive(Debug, Default)]
pub struct Session {
    pub id: String,
    pub context: Option<SessionContext>,
}

/// The sessions of a ledger, in the order in which rows first name them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub list: Vec<Session>,
    by_id: HashMap<String, u32>,
}

impl AsJson for Sessions {
    fn json(&self) -> Json {
        let json = |session: &Session| {
            let context = session.context.as_ref().map(SessionContext::json);
            let context = context.cloned().unwrap_or(Json::Null);
            Json::Array(vec![Json::Str(session.id.clone()), context])
        };
        Json::Array(self.list.iter().map(json).collect())
    }

    fn of_json(json: Json) -> Option<Sessions> {
        let mut sessions = Sessions::default();
        for session in json.into_array()? {
            let [id, context] = <[Json; 2]>::try_from(session.into_array()?).ok()?;
            let index = sessions.find_or_add(id.as_str()?) as usize;
            sessions.list[index].context =
                (context != Json::Null).then(|| SessionContext::from_json(context));
        }
        Some(sessions)
    }
}

impl Sessions {
    /// About how many bytes of memory they take.
    pub fn size(&self) -> usize {
        let context = |session: &Session| session.context.as_ref().map_or(0, |it| it.json().size());
        let session = |session: &Session| 256 + context(session);
        self.list.iter().map(session).sum()
    }

    pub fn at(&self, index: u32) -> &Session {
        &self.list[index as usize]
    }

    pub fn find_or_add(&mut self, id: &str) -> u32 {
        if let Some(&index) = self.by_id.get(id) {
            return index;
        }
        let index = self.list.len() as u32;
        self.list.push(Session {
            id: id.to_owned(),
            context: None,
        });
        self.by_id.insert(id.to_owned(), index);
        index
    }
}
