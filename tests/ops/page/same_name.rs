//! Functions of one macro call: they share their name and their place.

use tokio_supervised::{CancellationToken, ops};

use crate::browser::Browser;

macro_rules! alike {
    ($($module:ident)*) => {$(
        mod $module {
            use tokio_supervised::{TaskError, supervised};

            #[supervised(name = "alike")]
            pub(super) async fn run() -> Result<(), TaskError> {
                Ok(())
            }
        }
    )*};
}

alike! { one other }

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium"]
async fn functions_of_one_name_and_place_keep_a_row_each() {
    let address = ops::listen(0).unwrap();
    let token = CancellationToken::new();
    one::run(&token).await.unwrap();
    other::run(&token).await.unwrap();

    let check = move || {
        let mut browser = Browser::open(&format!("http://{address}/debug/tasks"));
        browser.until("past.length > 3");
        let rows = "[...document.querySelectorAll('#functions tbody tr')] \
                    .filter((row) => row.innerText.startsWith('alike')).length";
        assert_eq!(browser.value(rows), 2);
        let of_alike =
            "[...past.at(-1).functions.values()].filter((it) => it.name === 'alike').length";
        assert_eq!(browser.value(of_alike), 2, "each has its own history");
        assert_eq!(browser.complaints(), [0; 0]);
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}
