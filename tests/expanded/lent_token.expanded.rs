/// Copies until there is no more, or the token fires.
#[doc = "\n\n**Supervised.** Stops by itself when the token fires, or is dropped 5 s later. A panic becomes an `Err`."]
#[allow(clippy::impl_trait_in_params)]
fn copy<R>(
    token: impl ::tokio_supervised::AsToken,
    from: &mut R,
) -> ::tokio_supervised::Supervised<
    impl ::core::future::Future<Output = io::Result<u64>>,
    impl ::tokio_supervised::AsToken,
>
where
    R: AsyncRead + Unpin,
{
    return ::tokio_supervised::__private::supervise(
        {
            static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                ::tokio_supervised::__private::TaskSpec::new(
                    "copy",
                    ::tokio_supervised::__private::Policy::DEFAULT.cooperate().take_token().grace(
                        ::core::option::Option::Some(::core::time::Duration::from_millis(5000u64)),
                    ),
                );
            &TOKIO_SUPERVISED_SPEC
        },
        ::core::clone::Clone::clone(&token),
        ::tokio_supervised::__private::output::<io::Result<u64>>({
            use ::tokio_supervised::__private::{
                ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _, ByError as _,
                ByResult as _, BySharedError as _,
            };
            (&&&&&&::tokio_supervised::__private::Probe::<io::Result<u64>>::NEW)
                .__supervised_verdict()
        }),
        async move {
            let __supervised_token = ::tokio_supervised::__private::own_token(token);
            let token: &CancellationToken =
                ::tokio_supervised::AsToken::as_token(&__supervised_token);
            let from = from;
            if false {
                return ::tokio_supervised::__private::declared::<io::Result<u64>>();
            }
            #[allow(dead_code)]
            const TOKIO_SUPERVISED_FILE: ::tokio_supervised::__private::File =
                ::tokio_supervised::__private::File::of(::core::file!());
            #[allow(unused_imports)]
            use ::tokio_supervised::__private::at as __supervised_at;
            match () {
                () => {
                    ({
                        let mut copied = 0;
                        while let Some(n) = __supervised_at(
                            TOKIO_SUPERVISED_FILE,
                            ::core::line!(),
                            token.run_until_cancelled(read(from)),
                        )
                        .await
                        .transpose()?
                        {
                            copied += n;
                        }
                        Ok(copied)
                    })
                }
            }
        },
    );
}
