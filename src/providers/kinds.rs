//! The kinds of services: what each is asked, and what its answers mean. They do no I/O.

mod answers;
mod ark;
mod elevenlabs;
mod openai;
mod shapes;
mod volc_tts;

use reqwest::header::{HeaderName, HeaderValue};

use super::section::ProviderKind;
use super::service::{ServiceKind, ServiceSettings};

/// The requests and answers of a kind; `None` for programs.
pub(super) fn of(kind: ProviderKind) -> Option<&'static dyn ServiceKind> {
    match kind {
        ProviderKind::Openai => Some(&openai::Openai),
        ProviderKind::Ark => Some(&ark::Ark),
        ProviderKind::VolcTts => Some(&volc_tts::VolcTts),
        ProviderKind::Elevenlabs => Some(&elevenlabs::Elevenlabs),
        ProviderKind::Command => None,
    }
}

/// The headers with the credentials of a service.
///
/// # Errors
/// If a key has characters that no header can have.
pub(super) fn credentials(
    settings: &ServiceSettings,
) -> crate::error::Result<Vec<(HeaderName, HeaderValue)>> {
    match settings.section.kind() {
        ProviderKind::Openai | ProviderKind::Ark => answers::bearer(settings),
        ProviderKind::VolcTts => volc_tts::credentials(settings),
        ProviderKind::Elevenlabs => elevenlabs::credentials(settings),
        ProviderKind::Command => Ok(Vec::new()),
    }
}
