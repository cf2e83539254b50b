//! Tolerant parsing of JSON: a field may be missing, null or of another type without an error.
//!
//! Large drafts are parsed directly into the few fields that matter; nothing is allocated for the rest.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value, if it has the expected type, or what was found instead.
#[derive(Clone, Debug, Default)]
pub(super) enum LooseValue<T> {
    #[default]
    Missing,
    Null,
    /// Of another type.
    Other,
    Is(T),
}

impl<T> LooseValue<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the value exists and is not null, regardless of its type.
    pub(crate) fn says_something(&self) -> bool {
        matches!(self, Self::Is(_) | Self::Other)
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }
}

/// Builds a value from JSON of the expected type. The default methods accept no type.
pub(super) trait FromLoose<'de>: Sized {
    fn text(_: Cow<'de, str>) -> Option<Self> {
        None
    }

    fn number(_: f64) -> Option<Self> {
        None
    }

    fn boolean(_: bool) -> Option<Self> {
        None
    }

    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

pub(super) type LooseText<'a> = LooseValue<Cow<'a, str>>;
pub(super) type Number = LooseValue<f64>;
pub(super) type List<T> = LooseValue<Vec<LooseValue<T>>>;

impl LooseText<'_> {
    /// The text, or an empty text if there is none.
    pub(crate) fn str(&self) -> &str {
        self.get().map_or("", AsRef::as_ref)
    }
}

impl Number {
    pub(crate) fn value(&self) -> Option<f64> {
        self.get().copied()
    }

    /// As an integer; 0 if there is none. It is limited so that sums of some hundred such numbers do not overflow.
    pub(crate) fn whole(&self) -> i64 {
        const MOST: f64 = 1e16;
        self.value().unwrap_or_default().clamp(-MOST, MOST) as i64
    }
}

impl<T> List<T> {
    /// The elements of the right type, with their indexes.
    pub(crate) fn each(&self) -> impl Iterator<Item = (usize, &T)> {
        self.get()
            .into_iter()
            .flatten()
            .enumerate()
            .filter_map(|(index, element)| Some((index, element.get()?)))
    }
}

impl<'a, 'de: 'a> FromLoose<'de> for Cow<'a, str> {
    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(text)
    }
}

impl FromLoose<'_> for f64 {
    fn number(number: f64) -> Option<Self> {
        Some(number)
    }
}

impl FromLoose<'_> for bool {
    fn boolean(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl<'de, T: FromLoose<'de>> FromLoose<'de> for Box<T> {
    fn object<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        Ok(T::object(map)?.map(Box::new))
    }
}

/// Any object; only its existence matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnyObject;

impl<'de> FromLoose<'de> for AnyObject {
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(Self))
    }
}

impl<'de, T: FromLoose<'de>> FromLoose<'de> for Vec<LooseValue<T>> {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = list.next_element()? {
            all.push(element);
        }
        Ok(Some(all))
    }
}

/// Implements [`FromLoose`] for structs whose fields are all [`LooseValue`], so that they can be read from any object.
macro_rules! objects {
    ($($name:ident $(<$life:lifetime>)?),*) => {$(
        impl<'de $(: $life, $life)?> FromLoose<'de> for $name $(<$life>)?
        where
            $name $(<$life>)?: Deserialize<'de>,
        {
            fn object<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
                read_object(map).map(Some)
            }
        }
    )*};
}
pub(super) use objects;

pub(super) fn read_object<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: A,
) -> Result<T, A::Error> {
    T::deserialize(MapAccessDeserializer::new(map))
}

impl<'de, T: FromLoose<'de>> Deserialize<'de> for LooseValue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);

        fn found<T>(value: Option<T>) -> LooseValue<T> {
            value.map_or(LooseValue::Other, LooseValue::Is)
        }

        impl<'de, T: FromLoose<'de>> Visitor<'de> for Any<T> {
            type Value = LooseValue<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(LooseValue::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(found(T::boolean(value)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(found(T::number(value as f64)))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(found(T::number(value as f64)))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(found(T::number(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(found(T::text(Cow::Owned(value.to_owned()))))
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(found(T::text(Cow::Borrowed(value))))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::object(map).map(found)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                T::list(list).map(found)
            }
        }

        deserializer.deserialize_any(Any(PhantomData))
    }
}
