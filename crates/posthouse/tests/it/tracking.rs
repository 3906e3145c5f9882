//! Opens and clicks, from the message that goes out to what its sender is told.

use crate::both_engines;
use crate::harness::Posthouse;
use crate::harness::http::Answer;

/// Nobody keeps the answer, lists it, or tells others where it was.
#[track_caller]
fn is_discreet(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("x-robots-tag"), Some("noindex, nofollow"));
    assert_eq!(answer.header("set-cookie"), None);
}

both_engines! {
    fn a_link_that_nobody_made_leads_nowhere_and_its_picture_comes_all_the_same(engine) {
        let server = Posthouse::on(engine).start();
        let mut http = server.http();
        http.headers.push(("accept-language".to_owned(), "fr".to_owned()));
        let long = "a".repeat(5_000);
        for token in ["x", "https:%2F%2Fevil.example", "%0D%0ALocation:%20x", &"a".repeat(52), &long] {
            let page = http.get(&format!("/t/c/{token}")).expect(404);
            is_discreet(&page);
            assert!(page.header("location").is_none() && page.text.contains("Ce lien ne mène nulle part"), "{}", page.text);
            let picture = http.get(&format!("/t/o/{token}")).expect(200);
            is_discreet(&picture);
            assert_eq!(picture.header("content-type"), Some("image/gif"));
            assert_eq!(picture.header("cross-origin-resource-policy"), Some("cross-origin"));
            assert_eq!(picture.header("content-length"), Some("43"));
        }
        http.request("HEAD", "/t/c/x", None).expect(404);
        http.request("HEAD", "/t/o/x", None).expect(200);
        for path in ["/t/c/x", "/t/o/x"] {
            http.submit(path, &[]).expect(405);
        }
        http.get("/t/x").expect(404);
        assert!(server.log().iter().all(|line| !line.to_string().contains("evil.example")));
    }
}
