//! The credentials of object storage, which come from the environment or from files that it names.

use super::{Env, secret};
use crate::error::Result;
use crate::secrets::Hidden;

pub(super) const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(super) const KEY_ID_FILE: &str = "AWS_ACCESS_KEY_ID_FILE";
pub(super) const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
pub(super) const SECRET_FILE: &str = "AWS_SECRET_ACCESS_KEY_FILE";
pub(super) const SESSION: &str = "AWS_SESSION_TOKEN";
pub(super) const SESSION_FILE: &str = "AWS_SESSION_TOKEN_FILE";

/// The credentials; `None` for those that are not set.
#[derive(Clone, Debug, Default)]
pub(crate) struct StorageKeys {
    pub key_id: Option<Hidden>,
    pub secret: Option<Hidden>,
    pub session: Option<Hidden>,
}

impl StorageKeys {
    pub(super) fn of(env: Env<'_>) -> Result<Self> {
        Ok(Self {
            key_id: secret::of(env, KEY_ID, KEY_ID_FILE)?,
            secret: secret::of(env, SECRET, SECRET_FILE)?,
            session: secret::of(env, SESSION, SESSION_FILE)?,
        })
    }
}
