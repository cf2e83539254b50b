//! What creations cost, and whether a run may spend it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kinds;
use super::section::MaxCost;
use super::service::ServiceSettings;
use super::wanted::Wanted;
use crate::error::{Error, Result};

/// Sums of amounts are not exact.
const PRECISION: f64 = 1e-9;

/// The seconds that a service is paid for. Films have the length that is sent.
pub(super) fn seconds(settings: &ServiceSettings, wanted: &Wanted) -> f64 {
    match wanted {
        Wanted::Film { seconds, .. } => kinds::of(settings.section.kind())
            .map_or(*seconds, |kind| kind.film_seconds(settings, *seconds)),
        Wanted::Transcript { seconds, .. } => *seconds,
        Wanted::Speech { .. } | Wanted::Picture { .. } | Wanted::Text { .. } => 0.0,
    }
}

/// What a creation costs at most; `None` if it is not known. The length of a text that is written is not known before: a
/// price for each call covers it.
pub(super) fn cost(settings: &ServiceSettings, wanted: &Wanted) -> Option<f64> {
    let price = settings.section.price?;
    let seconds = seconds(settings, wanted);
    let mut characters = wanted.text().chars().count() as f64;
    if let Wanted::Text { instructions, .. } = wanted {
        characters += instructions.chars().count() as f64;
    }
    Some(
        price.per_call
            + price.per_1000_characters * characters / 1000.0
            + price.per_second * seconds,
    )
}

/// What the assets of a run would cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Estimate {
    /// Assets that are not there yet.
    pub items: usize,
    /// Assets that are there from an earlier run and cost nothing.
    pub kept: usize,
    /// Characters of texts that are spoken or read.
    pub characters: usize,
    /// Seconds of films that are made and of sounds that are transcribed.
    pub seconds: f64,
    /// What they cost at most, without those whose price is not known.
    pub cost: f64,
    /// The word for the amount.
    pub currency: String,
    /// Providers without a price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Estimate {
    /// Adds an asset that is not there yet; `cost` is `None` if a provider that may make it has no price.
    pub(super) fn add(&mut self, provider: &str, wanted: &Wanted, seconds: f64, cost: Option<f64>) {
        self.items += 1;
        self.characters += wanted.text().chars().count();
        self.seconds += seconds;
        match cost {
            Some(cost) => self.cost = exact(self.cost + cost),
            None if self.unknown.iter().any(|known| known == provider) => {}
            None => self.unknown.push(provider.to_owned()),
        }
    }

    /// Adds another estimate of the same run.
    pub(crate) fn join(&mut self, other: &Self) {
        self.items += other.items;
        self.kept += other.kept;
        self.characters += other.characters;
        self.seconds += other.seconds;
        self.cost = exact(self.cost + other.cost);
        for name in &other.unknown {
            if !self.unknown.contains(name) {
                self.unknown.push(name.clone());
            }
        }
    }

    /// One line for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} to make", self.items);
        if self.kept > 0 {
            text.push_str(&format!(", {} already made", self.kept));
        }
        if self.characters > 0 {
            text.push_str(&format!(", {} characters", self.characters));
        }
        if self.seconds > 0.0 {
            text.push_str(&format!(", {} s", (self.seconds * 10.0).round() / 10.0));
        }
        text.push_str(&match (self.unknown.is_empty(), self.cost > 0.0) {
            (true, _) => format!(", at most {}", self.amount(self.cost)),
            (false, true) => format!(
                ", at least {}, and the unknown price of {}",
                self.amount(self.cost),
                self.unknown.join(", ")
            ),
            (false, false) => format!(", at the unknown price of {}", self.unknown.join(", ")),
        });
        text
    }

    fn amount(&self, amount: f64) -> String {
        format!("{} {}", rounded(amount), self.currency)
    }

    /// Fails unless the run may spend this.
    ///
    /// # Errors
    /// With the estimate and the value of `max_cost` that permits it.
    pub(crate) fn may_be_spent(&self, most: MaxCost) -> Result<()> {
        let is_known = self.unknown.is_empty();
        let asks = match most {
            MaxCost::Unknown => return Ok(()),
            _ if is_known && self.cost == 0.0 => return Ok(()),
            MaxCost::Amount(most) if is_known && self.cost <= most + PRECISION => return Ok(()),
            MaxCost::Amount(most) if is_known => {
                format!("that is more than `max_cost`, {}", self.amount(most))
            }
            MaxCost::Amount(_) | MaxCost::Nothing => "nothing was sent yet".to_owned(),
        };
        let needed = if is_known {
            // Rounded up, so that it is enough.
            let enough = ((self.cost - PRECISION) * 100.0).ceil() / 100.0;
            format!("`max_cost: {enough}`")
        } else {
            "`max_cost: \"unknown\"` (a provider has no `price` in `tools.toml`)".to_owned()
        };
        Err(Error::invalid(format!("making the assets costs money: {}; {asks}", self.text())).hint(
            format!(
                "ask the user, then call again with {needed}; `dry_run` shows what would be made; `max_cost` below `[generate]` in `tools.toml` sets it for all calls"
            ),
        ))
    }
}

/// Without the errors of sums.
fn exact(amount: f64) -> f64 {
    (amount * 1e9).round() / 1e9
}

/// An amount for people: four digits after the point, without zeros at the end.
pub(crate) fn rounded(amount: f64) -> f64 {
    (amount * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(text: &str) -> Wanted {
        Wanted::Speech {
            text: text.to_owned(),
            voice: String::new(),
            speed: 1.0,
        }
    }

    fn settings(toml: &str) -> ServiceSettings {
        ServiceSettings {
            name: "test".to_owned(),
            section: toml::from_str(toml).expect("settings"),
            key: None,
            app_id: None,
        }
    }

    #[test]
    fn costs_are_the_sum_of_their_parts() {
        let price = "price = { per_call = 0.01, per_1000_characters = 2.0, per_second = 0.5 }";
        let close = |found: Option<f64>, expected: f64| {
            let found = found.unwrap();
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        };
        let voice = settings(&format!("kind = \"openai\"\nmakes = \"speech\"\n{price}"));
        close(cost(&voice, &speech("你好吗")), 0.016);
        let film = |seconds| Wanted::Film {
            prompt: String::new(),
            width: 1,
            height: 1,
            seconds,
            seed: None,
            take: 0,
        };
        let sora = settings(&format!(
            "kind = \"openai\"\nmakes = \"film\"\nmodel = \"sora-2\"\n{price}"
        ));
        // The length that is sent is paid.
        close(cost(&sora, &film(4.5)), 4.01);
        let ark = settings(&format!(
            "kind = \"ark\"\nmodel = \"seedance-2-0\"\n{price}"
        ));
        close(cost(&ark, &film(1.0)), 2.01);
        let text = Wanted::Text {
            instructions: "x".repeat(900),
            input: "y".repeat(100),
        };
        let writer = settings(&format!("kind = \"openai\"\nmakes = \"text\"\n{price}"));
        close(cost(&writer, &text), 2.01);
        let unknown = settings("kind = \"openai\"\nmakes = \"film\"");
        assert_eq!(cost(&unknown, &film(1.0)), None);
    }

    #[test]
    fn nothing_with_a_price_is_spent_without_permission() {
        let mut free = Estimate::default();
        free.add("a", &speech("x"), 0.0, Some(0.0));
        assert!(free.may_be_spent(MaxCost::Nothing).is_ok());
        let mut priced = free.clone();
        priced.currency = "EUR".to_owned();
        priced.add("a", &speech("y"), 0.0, Some(0.105));
        for (most, allowed) in [
            (MaxCost::Nothing, false),
            (MaxCost::Amount(0.1), false),
            (MaxCost::Amount(0.105), true),
            (MaxCost::Unknown, true),
        ] {
            assert_eq!(priced.may_be_spent(most).is_ok(), allowed, "{most:?}");
        }
        let error = priced
            .may_be_spent(MaxCost::Nothing)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("0.105 EUR") && error.contains("`max_cost: 0.11`"),
            "{error}"
        );
        let mut unknown = priced.clone();
        unknown.add("b", &speech("z"), 0.0, None);
        assert!(unknown.may_be_spent(MaxCost::Amount(100.0)).is_err());
        assert!(unknown.may_be_spent(MaxCost::Unknown).is_ok());
        let error = unknown.may_be_spent(MaxCost::Amount(9.0)).unwrap_err();
        assert!(error.to_string().contains("\"unknown\""), "{error}");
    }
}
