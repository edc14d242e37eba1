//! Short random identities that are never given again.

macro_rules! uid {
    ($(#[$doc:meta])* $name:ident = $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new random uid (40 bits).
            ///
            /// # Errors
            /// When the system gives no randomness.
            pub fn random() -> $crate::error::Result<Self> {
                let mut bytes = [0_u8; 5];
                $crate::random::fill(&mut bytes)?;
                Ok(Self(data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()))
            }

            /// The uid as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::error::Invalid;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                if text.len() == 8 && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)) {
                    Ok(Self(text))
                } else {
                    Err($crate::error::Invalid::new($field, "must be eight characters of a-z and 2-7"))
                }
            }
        }

        impl From<$name> for String {
            fn from(uid: $name) -> Self {
                uid.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(super) use uid;
