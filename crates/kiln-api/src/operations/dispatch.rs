//! From an operation's name to a method.

/// Decodes, calls, encodes: the same for each operation.
macro_rules! dispatch {
    ($service:ident $info:ident $context:ident $body:ident) => {
        dispatch!($service $info $context $body $)
    };
    ($service:ident $info:ident $context:ident $body:ident $dollar:tt) => {
        macro_rules! arms {
            ($dollar($name:ident $method:ident $input:ident $output:ident,)+) => {
                match $info.name {
                    $dollar(stringify!($name) => {
                        let input = read::<$input>($body)?;
                        json::<$output>(&$service.$method($context, input).await?)
                    })+
                    other => Err(ApiError::unsupported(other).into()),
                }
            };
        }
    };
}
