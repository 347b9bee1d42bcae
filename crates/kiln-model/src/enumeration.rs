//! How the enumerations of the API are written down: one table of variants and AWS's names.

/// Declares an enumeration of the API: the variants, AWS's names in `NAMES` and `as_str`, and the same names in JSON.
macro_rules! enumeration {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the service model.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// AWS's names of [`Self::ALL`].
            pub const NAMES: &'static [&'static str] = &[$($text,)+];

            /// AWS's name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use enumeration;
