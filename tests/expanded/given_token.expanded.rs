impl Store for Disk {
    #[allow(refining_impl_trait)]
    fn save(
        &self,
        token: CancellationToken,
        name: &str,
    ) -> ::tokio_supervised::Supervised<
        impl ::core::future::Future<Output = Result<(), StoreError>>,
        ::tokio_supervised::CancellationToken,
    > {
        return ::tokio_supervised::__private::supervise(
            {
                static TOKIO_SUPERVISED_SPEC: ::tokio_supervised::__private::TaskSpec =
                    ::tokio_supervised::__private::TaskSpec::new(
                        "save",
                        ::tokio_supervised::__private::Policy::DEFAULT.cooperate().take_token(),
                    );
                &TOKIO_SUPERVISED_SPEC
            },
            ::core::clone::Clone::clone(&token),
            ::tokio_supervised::__private::output::<Result<(), StoreError>>({
                use ::tokio_supervised::__private::{
                    ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _, ByError as _,
                    ByResult as _, BySharedError as _,
                };
                (&&&&&&::tokio_supervised::__private::Probe::<Result<(), StoreError>>::NEW)
                    .__supervised_verdict()
            }),
            async move {
                let _ = &self;
                let token = ::tokio_supervised::__private::own_given_token(token);
                let name = name;
                if false {
                    return ::tokio_supervised::__private::declared::<Result<(), StoreError>>();
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
                            self.write(&token, name).await
                        })
                    }
                }
            },
        );
    }
}
