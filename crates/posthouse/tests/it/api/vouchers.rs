//! Vouchers by API and command, from the operator's batch to the account's ledger.

use serde_json::json;

use super::{faults, server, signed_in, with_key};
use crate::both_engines;

both_engines! {
    fn a_voucher_is_made_redeemed_once_and_revoked(engine) {
        let server = server(engine);
        let (operator, alice) = (signed_in(&server, "ops@example.com"), signed_in(&server, "alice@example.com"));
        let wanted = json!({"reason": "Spring fair", "amount": 250, "codes": 2, "expires_at": "2999-01-01T00:00:00Z"});
        alice.post("/api/v1/vouchers", &wanted).expect(403);
        alice.get("/api/v1/vouchers").expect(403);
        let made = operator.post("/api/v1/vouchers", &wanted).expect(201).json();
        let code = |n: usize| json!({"code": made["codes"][n]});
        let redeem = "/api/v1/account/credits/redeem";
        let redeemed = alice.post(redeem, &code(0)).expect(200).json();
        assert_eq!(redeemed, json!({"amount": 250, "credits": 750}));
        alice.post(redeem, &code(0)).expect(409);
        let bob = signed_in(&server, "bob@example.com");
        let used = bob.post(redeem, &code(0)).expect(422).json();
        let unknown = bob.post(redeem, &json!({"code": "0000-0000-0000-0000"})).expect(422).json();
        assert_eq!(faults(&used), ["code"]);
        assert_eq!(used, unknown, "nobody learns which codes there are");
        operator.post(redeem, &code(1)).expect(409);
        let ledger = alice.get("/api/v1/account/credits").expect(200).json();
        assert_eq!((&ledger["items"][0]["kind"], &ledger["items"][0]["reason"]), (&json!("voucher"), &json!("Spring fair")));
        let listed = operator.get("/api/v1/vouchers").expect(200);
        assert!(!listed.text.contains(made["codes"][1].as_str().unwrap()), "{}", listed.text);
        let listed = listed.json();
        assert_eq!((&listed["items"][0]["used"], &listed["items"][0]["codes"]), (&json!(1), &json!(2)));
        let batch = format!("/api/v1/vouchers/{}", made["batch"]["id"].as_str().unwrap());
        alice.delete(&batch).expect(403);
        operator.delete(&batch).expect(204);
        operator.delete(&batch).expect(404);
        bob.post(redeem, &code(1)).expect(422);
        for wrong in [
            json!({"reason": "", "amount": 1}),
            json!({"reason": "r", "amount": 0}),
            json!({"reason": "r", "amount": 1, "codes": 1001}),
            json!({"reason": "r", "amount": 1, "uses": 0}),
            json!({"reason": "r", "amount": 1, "expires_at": "yesterday"}),
            json!({"reason": "r", "amount": 1, "expires_at": "2020-01-01T00:00:00Z"}),
        ] {
            operator.post("/api/v1/vouchers", &wrong).expect(422);
        }
        // No code and no part of one is in what is logged.
        let log = server.log().into_iter().map(|line| line.to_string()).collect::<String>();
        for n in 0..2 {
            assert!(!log.contains(made["codes"][n].as_str().unwrap()));
        }
    }

    fn codes_cannot_be_guessed_by_the_thousand(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let key = with_key(&server, &alice, &["account"]);
        let redeem = "/api/v1/account/credits/redeem";
        for n in 0..20 {
            let who = if n % 2 == 0 { &alice } else { &key };
            who.post(redeem, &json!({"code": format!("{n:016}")})).expect(422);
        }
        let refused = alice.post(redeem, &json!({"code": "7777-7777-7777-7777"})).expect(429);
        assert!(refused.header("retry-after").is_some_and(|after| after.parse::<u32>().unwrap() <= 3_600));
        let sends = with_key(&server, &alice, &["send"]);
        sends.post(redeem, &json!({"code": "7777-7777-7777-7777"})).expect(403);
    }

    fn a_command_makes_codes_that_count_at_once(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let made = server.cli(&["voucher", "create", "30", "--reason", "Fair", "--codes", "2", "--until", "2999-12-31"], "");
        let codes: Vec<&str> = made.lines().collect();
        assert_eq!(codes.len(), 2, "{made}");
        let redeemed = alice.post("/api/v1/account/credits/redeem", &json!({"code": codes[0]})).expect(200).json();
        assert_eq!(redeemed["credits"], 530);
        let listed = server.cli(&["voucher", "list"], "");
        let line = listed.lines().nth(1).unwrap();
        assert!(line.contains("Fair") && line.contains("3000-01-01T00:00:00Z") && !listed.contains(codes[1]), "{listed}");
        let batch = line.split_whitespace().next().unwrap();
        server.cli(&["voucher", "revoke", batch], "");
        assert!(server.cli(&["voucher", "list"], "").contains("revoked"));
        alice.post("/api/v1/account/credits/redeem", &json!({"code": codes[1]})).expect(422);
        let wrong = server.try_cli(&["voucher", "create", "30", "--reason", "Fair", "--until", "soon"], "");
        assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("2027-01-31"));
    }
}
