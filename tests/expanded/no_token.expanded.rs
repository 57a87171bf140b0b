/// Downloads one page.
#[doc = "\n\n**Supervised.** At most 16 calls run at once. Stops at its next `.await` when the token fires. Times out after 10 s. A panic becomes an `Err`."]
#[allow(clippy::impl_trait_in_params)]
pub fn fetch(
    #[cfg(not(doc))] __supervised_token: impl ::tokio_supervised::AsToken,
    #[cfg(doc)] token: impl ::tokio_supervised::AsToken,
    client: Client,
    __supervised_1: (String, String),
) -> ::tokio_supervised::Supervised<
    impl ::core::future::Future<Output = Result<Page, Error>>,
    impl ::tokio_supervised::AsToken,
> {
    #[cfg(doc)]
    let __supervised_token = token;
    return ::tokio_supervised::__private::supervise(
        {
            static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                ::tokio_supervised::__private::TaskSpec::new(
                    "fetch",
                    ::tokio_supervised::__private::Policy::DEFAULT
                        .limit(16)
                        .timeout(::core::time::Duration::from_millis(10000u64)),
                );
            &TOKIO_SUPERVISED_SPEC
        },
        __supervised_token,
        ::tokio_supervised::__private::output::<Result<Page, Error>>({
            use ::tokio_supervised::__private::{
                ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _, ByError as _,
                ByResult as _, BySharedError as _,
            };
            (&&&&&&::tokio_supervised::__private::Probe::<Result<Page, Error>>::NEW)
                .__supervised_verdict()
        }),
        async move {
            let (mut client,) = (client,);
            let mut __supervised_1 = __supervised_1;
            let (host, path) = __supervised_1;
            if false {
                return ::tokio_supervised::__private::declared::<Result<Page, Error>>();
            }
            #[allow(dead_code)]
            const TOKIO_SUPERVISED_FILE: ::tokio_supervised::__private::File =
                ::tokio_supervised::__private::File::of(::core::file!());
            #[allow(unused_imports)]
            use ::tokio_supervised::__private::store as __supervised_store;
            match () {
                () => {
                    ({
                        __supervised_store(TOKIO_SUPERVISED_FILE, ::core::line!());
                        client.get(host, path).await
                    })
                }
            }
        },
    );
}
