use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;

const MESSAGE: &str = "From: Ann <ann@us.example>\r\nTo: bob@there.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    X-Team: one\r\nX-Team: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello there\r\n\
    --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF\r\n--b--\r\n";

fn facts(stage: Stage) -> Facts {
    Facts {
        stage,
        account: "0190".to_owned(),
        login: Some("ann@us.example".to_owned()),
        credential: None,
        via: "smtp".to_owned(),
        ip: Some([192, 0, 2, 7].into()),
        helo: Some("laptop".to_owned()),
        tls: None,
        from: Some("ann@us.example".to_owned()),
        recipients: Arc::new(vec!["bob@there.example".to_owned()]).into(),
        recipient: (stage == Stage::Rcpt).then(|| "bob@there.example".to_owned()),
        stream: Some("transactional".to_owned()),
        tags: vec!["order".to_owned()],
        raw: if stage == Stage::Message {
            Bytes::from_static(MESSAGE.as_bytes())
        } else {
            Bytes::new()
        },
    }
}

fn call(source: &str, facts: &Facts, limits: HookLimits) -> Run {
    Script::new(source).call(facts, limits)
}

fn on_message(body: &str) -> Run {
    run(&format!("function on_message(m)\n{body}\nend"))
}

fn run(source: &str) -> Run {
    call(source, &facts(Stage::Message), HookLimits::default())
}

fn logged(body: &str) -> String {
    let run = on_message(body);
    assert_eq!(run.fault, None, "{body}");
    run.log.join("|")
}

fn kind(run: &Run) -> FaultKind {
    run.fault.as_ref().expect("it broke").kind
}

fn fails(body: &str) -> Fault {
    on_message(body)
        .fault
        .unwrap_or_else(|| panic!("nothing stopped it: {body}"))
}

#[test]
fn a_script_sees_the_envelope_the_header_and_the_parts() {
    let seen = logged(
        r#"print(m.stage, m.from, m.login, m.ip, m.helo, m.tls, m.via, #m.recipients, m.recipients[1])
        print(m.size, m.stream, m.tags[1], m.subject, m:header("x-team"), m:header("x-none"))
        print(table.concat(m:headers("X-Team"), ","), m:raw_headers("subject")[1], #m:headers())
        for _, part in m:parts() do print(part.type, part.charset, part.name, part.size, part.text) end"#,
    );
    assert_eq!(
        seen,
        format!(
            "message ann@us.example ann@us.example 192.0.2.7 laptop nil smtp 1 bob@there.example|\
             {} transactional order Grüße one nil|one,two  =?utf-8?q?Gr=C3=BC=C3=9Fe?= 6|\
             text/plain utf-8 nil 11 Hello there|application/pdf nil a.pdf 4 nil",
            MESSAGE.len()
        )
    );
}

#[test]
fn each_stage_calls_its_own_function_and_knows_what_is_known_then() {
    let source = r#"
        function on_mail(m) print("mail", m.from, m.size) end
        function on_rcpt(m) print("rcpt", m.recipient, m.header) end"#;
    let at = |stage| call(source, &facts(stage), HookLimits::default()).log;
    assert_eq!(at(Stage::Mail), ["mail ann@us.example nil"]);
    assert_eq!(at(Stage::Rcpt), ["rcpt bob@there.example nil"]);
    assert_eq!(at(Stage::Message), [""; 0]);
    assert_eq!(
        check(source, HookLimits::default()),
        Ok(vec![Stage::Mail, Stage::Rcpt])
    );
}

#[test]
fn the_first_decision_ends_the_script() {
    for (body, said) in [
        ("", Said::Nothing),
        ("accept() reject()", Said::Accept),
        ("reject()", Said::Reject(None)),
        ("reject('No.') accept()", Said::Reject(Some("No.".to_owned()))),
        ("pcall(reject) accept()", Said::Reject(None)),
        (
            "while true do pcall(defer, 'Later.') end",
            Said::Defer(Some("Later.".to_owned())),
        ),
        (
            "coroutine.wrap(function() discard() end)() reject()",
            Said::Discard,
        ),
        ("xpcall(discard, function() accept() end)", Said::Discard),
    ] {
        let run = on_message(body);
        assert_eq!((run.said, run.fault), (said, None), "{body}");
    }
}

#[test]
fn what_it_asks_for_is_checked_where_it_asks() {
    let run = on_message(
        "tag('VIP') tag('order') set_header('X-Team', 'three') add_header('X-Seen', 'yes') route('news') route('bulk')",
    );
    let asked: Vec<String> = run.actions.iter().map(Action::describe).collect();
    assert_eq!(
        asked,
        [
            "tag vip",
            "set header X-Team: three",
            "add header X-Seen: yes",
            "route to bulk"
        ]
    );
    for (body, why) in [
        ("set_header('Subject', 'a\\r\\nBcc: b@x')", "line break"),
        ("add_header('DKIM-Signature', 'v=1')", "written by the service"),
        (
            "set_header('X-Posthouse-Sandbox', 'on')",
            "written by the service",
        ),
        ("set_header('X A', 'b')", "no name for a header"),
        ("tag(',')", "control character"),
        ("route('no such_name')", "name of a stream"),
        ("for i = 1, 11 do tag('t' .. i) end", "more than 10 tags"),
        (
            "for i = 1, 60 do add_header('X-A', 'b') end",
            "at most 50 header fields",
        ),
        ("set_header('X-A', string.rep('b ', 3000))", "longer than"),
    ] {
        let fault = fails(body);
        assert!(fault.message.contains(why), "{body}: {fault}");
        assert_eq!(fault.line, Some(2), "{body}");
    }
    let early = "function on_rcpt(m) tag('a') end";
    let run = call(early, &facts(Stage::Rcpt), HookLimits::default());
    assert!(run.fault.unwrap().message.contains("in on_message only"));
}

#[test]
fn a_run_that_breaks_changes_nothing_and_names_its_line() {
    let run = on_message("tag('a')\nprint('so far')\nlocal x = nil + 1");
    assert_eq!(
        (run.said, run.actions.len(), run.log.len()),
        (Said::Nothing, 0, 1)
    );
    let fault = run.fault.unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Error, Some(4)));
    assert!(
        fault
            .to_string()
            .starts_with("line 4: attempt to perform arithmetic"),
        "{fault}"
    );
    let fault = check("function on_mail(m)\n  if then\nend", HookLimits::default()).unwrap_err();
    assert_eq!(fault.line, Some(2), "{fault}");
    assert!(
        check("x = 1", HookLimits::default())
            .unwrap_err()
            .message
            .contains("none of the functions")
    );
    assert!(
        check("reject()", HookLimits::default())
            .unwrap_err()
            .message
            .contains("outside of")
    );
    let misspelt = "function on_mail(m) end\nfunction on_mesage(m) reject() end";
    let fault = check(misspelt, HookLimits::default()).unwrap_err();
    assert!(fault.message.starts_with("on_mesage is none of"), "{fault}");
    let own = "local function on_spam(m) reject() end function on_mail(m) on_spam(m) end";
    assert_eq!(check(own, HookLimits::default()), Ok(vec![Stage::Mail]));
}

#[test]
fn a_log_is_short_and_of_single_lines() {
    let run = on_message("print(('x'):rep(100000)) print('a\\nb') for i = 1, 1000 do print(i) end print({})");
    assert_eq!(run.log.len(), MOST_LINES);
    assert_eq!(run.log[0].len(), LINE_OCTETS);
    assert_eq!(run.log[1], "a b");
}

#[test]
fn what_never_ends_is_ended() {
    for body in [
        "while true do end",
        "repeat until false",
        "for i = 1, math.huge do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() while true do pcall(f) end end f()",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
        "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end",
        "setmetatable({}, { __index = function(t, k) while true do end end }).x()",
        "local t = setmetatable({}, { __eq = function() while true do end end, __lt = function() while true do end end }) return t < t",
        "for _ in function() return 1 end do end",
        "local s = 0 for i = 1, 1e9 do s += math.sin(i) end",
        "while true do m:parts() end",
        "while true do m:header('subject') end",
        "while true do print('x') end",
        "while true do tag('x') end",
    ] {
        let kind = fails(body).kind;
        assert!(
            matches!(kind, FaultKind::Steps | FaultKind::Time),
            "{body}: {kind:?}"
        );
    }
}

#[test]
fn steps_and_time_each_end_a_script_by_themselves() {
    let few = HookLimits {
        steps: 1_000,
        cpu: Duration::from_mins(1),
        wall: Duration::from_mins(1),
        ..HookLimits::default()
    };
    let endless = "function on_message(m) while true do end end";
    assert_eq!(
        kind(&call(endless, &facts(Stage::Message), few)),
        FaultKind::Steps
    );
    let much = HookLimits {
        steps: u64::MAX,
        ..few
    };
    let short = HookLimits {
        cpu: Duration::from_millis(5),
        ..much
    };
    assert_eq!(
        kind(&call(endless, &facts(Stage::Message), short)),
        FaultKind::Time
    );
    let short = HookLimits {
        wall: Duration::from_millis(5),
        ..much
    };
    assert_eq!(
        kind(&call(endless, &facts(Stage::Message), short)),
        FaultKind::Time
    );
}

#[test]
fn memory_is_not_to_be_had_without_end() {
    for body in [
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "return string.rep('x', 2^30)",
        "return ('x'):rep(2^31 - 1)",
        "return string.rep(string.rep('x', 1000000), 1000000)",
        "return table.create(2^26, 1)",
        "return buffer.create(2^30)",
        "local t = table.create(100000, ('x'):rep(1000)) return table.concat(t)",
        "return (('x'):rep(1000000):gsub('x', ('y'):rep(1000)))",
        "local t = {} for i = 1, 1e7 do t[i] = coroutine.create(function() end) end",
        "local t = {} for i = 1, 1e7 do t[i] = function() return t, i end end",
        "return string.format(('%99s'):rep(200000), table.unpack(table.create(7000, 'x')))",
        "local function f(...) return f(1, ...) end f()",
        "return table.pack(table.unpack(table.create(1000000, 1)))",
        "return string.pack(('s'):rep(100), ('x'):rep(8000000))",
    ] {
        let run = on_message(body);
        let fault = run.fault.unwrap_or_else(|| panic!("nothing stopped it: {body}"));
        assert!(run.memory <= 17 * 1024 * 1024, "{body}: {} octets", run.memory);
        assert!(!fault.message.is_empty());
    }
    let fault = fails("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end");
    assert_eq!(fault.kind, FaultKind::Memory, "{fault}");
    // Whoever catches that there is no more has no more.
    let fault =
        fails("local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end");
    assert!(matches!(
        fault.kind,
        FaultKind::Steps | FaultKind::Time | FaultKind::Memory
    ));
}

#[test]
fn nesting_does_not_reach_the_end_of_the_stack() {
    for body in [
        "local function f() return 1 + f() end f()",
        "local function f() return f() end f()",
        "local function f() pcall(f) f() end f()",
        "local function f() return (('x'):gsub('x', f)) end f()",
        "local function f() coroutine.wrap(f)() end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end return t.x",
        "local t = setmetatable({}, {}) getmetatable(t).__tostring = function() return tostring(t) end return tostring(t)",
        "local function f() table.sort({ 1, 2, 3 }, f) end f()",
    ] {
        fails(body);
    }
    for source in [
        format!("x = {}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("x = {}{}", "{".repeat(30_000), "}".repeat(30_000)),
        format!("x = 1{}", " + 1".repeat(16_000)),
        format!("x = 'a'{}", " .. 'a'".repeat(9_000)),
        format!("x = {}1", "not ".repeat(16_000)),
        format!("x = {}1", "-".repeat(3) + &"- ".repeat(30_000)),
        format!("f{}", "()".repeat(30_000)),
        format!("x = y{}", ".a".repeat(30_000)),
        format!("{}{}", "do ".repeat(10_000), "end ".repeat(10_000)),
        format!("{}{}", "x = function() ".repeat(3_000), "end ".repeat(3_000)),
        format!("if a then {} end", "elseif a then ".repeat(4_000)),
        format!("local x: {}number", "(number) -> ".repeat(5_000)),
        format!("local x: {}number{}", "{".repeat(30_000), "}".repeat(30_000)),
        format!("x = `{}`", "{`".repeat(10_000)),
        format!("return {}1", "if a then b else ".repeat(4_000)),
    ] {
        assert!(source.len() <= 80_000);
        // Whatever is said of it, it is said.
        assert!(check(&source, HookLimits::default()).is_err());
    }
}

#[test]
fn what_works_without_coming_back_is_kept_small() {
    // Each would take from seconds to days in one call, which nothing interrupts.
    for body in [
        "return (('a'):rep(8000000)):find(('a'):rep(4000000) .. 'b', 1, true)",
        "return (('a'):rep(8000000)):split(('a'):rep(4000000) .. 'b')",
        "return (('x'):rep(4000000)):find('[' .. ('a'):rep(4000000) .. ']*z')",
        "return (('a'):rep(4000000)):match(('a*'):rep(30) .. 'b')",
        "return (('a'):rep(30000)):find(('a?'):rep(200) .. ('a'):rep(200))",
        "return (('('):rep(4000000)):find('%b()')",
        "return (('a'):rep(2000000)):gsub('.-b', '')",
        "for _ in (('a'):rep(2000000)):gmatch('a-b') do end",
        "local a, b = ('a'):rep(4000000), ('a'):rep(4000000) .. 'b' local t = {} for i = 1, 200000 do t[i] = i % 2 == 0 and a or b end table.sort(t)",
        "local a, b = ('a'):rep(4000000), ('b'):rep(2000000) local t = {} for i = 1, 200000 do t[i] = i % 2 == 0 and a or b end table.sort(t, string.find)",
        "table.move({}, 1, 2^31 - 2, 2)",
        "table.move({}, 1, 2^31 - 2, 2, {})",
        "table.move({}, '1', '2147483646', 2, {})",
        "table.move({}, 3e9, -2, 0, {})",
        "table.move({}, 0/0, 1, 0, {})",
        "while true do string.rep('', 2^31 - 1) end",
        "return table.concat({}, '', 1, 2^31 - 1)",
        "while true do buffer.fill(buffer.create(8000000), 0, 1) end",
        "while true do local s = ('x'):rep(8000000) end",
        "while true do local s = ('x'):rep(4000000):reverse():upper() end",
        "local t = table.create(900000, 1) while true do table.insert(t, 1, 1) table.remove(t, 1) end",
        "local t = table.create(900000, 1) while true do table.find(t, 2) end",
        "while true do utf8.len(('x'):rep(8000000)) end",
    ] {
        let began = Instant::now();
        fails(body);
        // Far from any deadline, and far from seconds to days: what is meant is that it comes back at all.
        assert!(began.elapsed() < Duration::from_mins(1), "{body}");
    }
}

#[test]
fn a_script_is_told_what_it_does_not_see() {
    let seen = |rest: &str| {
        let mut facts = facts(Stage::Message);
        facts.raw = format!("From: ann@us.example\r\n{rest}").into();
        let body = "print(m:complete()) for _, part in m:parts() do print(part.type, #(part.text or ''), part.cut) end";
        let run = call(
            &format!("function on_message(m) {body} end"),
            &facts,
            HookLimits {
                memory: 64 << 20,
                ..HookLimits::default()
            },
        );
        assert_eq!(run.fault, None);
        run.log.join("|")
    };
    let most = 256 * 1024;
    assert_eq!(
        seen(&format!("\r\n{}", "x".repeat(most))),
        "true|text/plain 262144 false"
    );
    assert_eq!(
        seen(&format!("\r\n{}", "x".repeat(most + 1))),
        "false|text/plain 262144 true"
    );
    // Of many long texts the first ones are there, the last one in part, and those behind it are named.
    let part = format!("--b\r\n\r\n{}\r\n", "x".repeat(240 * 1024));
    let many = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
        part.repeat(6)
    );
    assert_eq!(
        seen(&many),
        "false|text/plain 245760 false|text/plain 245760 false|text/plain 245760 false|text/plain 245760 false|\
         text/plain 65536 true|text/plain 0 true"
    );
    let picture = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n";
    assert_eq!(seen(picture), "true|image/png 0 false");
    let crowd = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
        "--b\r\nContent-Type: a/b\r\n\r\n\r\n".repeat(1_200)
    );
    assert!(
        seen(&crowd).starts_with("false|"),
        "more parts than are looked at"
    );
    let level = |n| format!("Content-Type: multipart/mixed; boundary=b{n}x\r\n\r\n--b{n}x\r\n");
    let deep = (0..102).map(level).collect::<Vec<_>>().concat();
    assert_eq!(seen(&deep), "false");
}

#[test]
fn the_time_of_a_processor_ends_what_works_in_one_call() {
    let only_cpu = HookLimits {
        memory: 128 << 20,
        steps: u64::MAX,
        cpu: Duration::from_millis(20),
        wall: Duration::from_hours(1),
        ..HookLimits::default()
    };
    for body in [
        "while true do (('('):rep(2000000)):find('%b()') end",
        "return (('('):rep(2000000)):gsub('%b()%b()', 'x')",
        "return ((('('):rep(1000) .. (')'):rep(999)):rep(1000)):match('%b()%b()%b()z')",
        "while true do (('a'):rep(260000)):find('^[bcdefghijklmnopqrstuvwxyz]*[%d%d%d%d%d%d%d%d%d%d%d%d]$') end",
        "while true do (('a'):rep(260000)):find('[%d%d%d%d%d%d%d%d%d%d%d%d%d%da]*z') end",
        "return (('a'):rep(1000000)):find('.-.-.-b')",
        "return (('a'):rep(1000000)):match('(a*)(a*)%1%2b')",
        "return (('a'):rep(1000000)):match('%f[b].*%f[c]')",
        "return (('ab'):rep(500000)):gsub('(a?)(b?)(a*)-(b*)', '%1%2')",
        "for _ in (('a'):rep(2000000)):gmatch('()a-b') do end",
        "while true do (('a'):rep(4000000)):find('b', 1, true) end",
        "while true do (('a'):rep(2000000)):split('b') end",
        "while true do tonumber(('1'):rep(4000000)) end",
        "while true do tonumber('0.' .. ('1'):rep(4000000)) end",
        "while true do string.format('%s', ('x'):rep(2000000)) end",
        "while true do tostring(('x'):rep(4000000)) end",
        "while true do string.format('%s %s', {}, print) end",
        "local t = table.create(200000, 'x') while true do table.concat(t, 'y') end",
        "local b = buffer.create(4000000) while true do buffer.tostring(b) end",
        "local t = {} for i = 1, 100000 do t[i] = i end while true do next(table.clone(t)) end",
    ] {
        let run = call(
            &format!("function on_message(m) {body} end"),
            &facts(Stage::Message),
            only_cpu,
        );
        assert_eq!(kind(&run), FaultKind::Time, "{body}: {:?}", run.fault);
    }
    // What would not come back in time is not begun.
    for (body, octets) in [
        ("find('[' .. ('%d'):rep(60) .. ']*z')", 262_144),
        ("find('[%w%d]*z')", 4_000_000),
        ("find('aaaaa%b()')", 8_000_000),
        ("split(('a'):rep(200))", 262_144),
    ] {
        let fault = fails(&format!("return (('a'):rep({octets})):{body}"));
        assert!(fault.message.contains("so long a pattern"), "{body}: {fault}");
    }
    // What people look for in the longest text there is goes through, as far as time and steps let it.
    let body = "local t = ('word '):rep(52428) print(#t, t:find('[%w!#$%%&*+/=?^_`{|}~.-]+@[%w.-]+%.%w+'), t:find(('x'):rep(120), 1, true), \
         t:find('%f[%d]%d%d%d%d[ -]?%d%d%d%d[ -]?%d%d%d%d[ -]?%d%d%d%d%f[%D]'))";
    let looked = call(
        &format!("function on_message(m) {body} end"),
        &facts(Stage::Message),
        HookLimits {
            cpu: Duration::from_hours(1),
            ..only_cpu
        },
    );
    assert_eq!(
        (looked.log.join("|"), looked.fault),
        ("262140 nil nil nil".to_owned(), None)
    );
}

#[test]
fn no_value_says_where_it_lies() {
    let values = "{}, print, coroutine.create(print), buffer.create(1), newproxy, select(2, pcall(tag, ',')), \
        setmetatable({}, { __type = 'x' }), function() end, string, m.header, getmetatable(select(2, pcall(tag, ',')))";
    for body in [
        format!("print({values})"),
        format!("for _, v in {{ {values} }} do print(tostring(v)) end"),
        format!("for _, v in {{ {values} }} do print(string.format('%* %*', v, v)) end"),
        format!("for _, v in {{ {values} }} do print(`<{{v}}>`, ('%*'):format(v)) end"),
        format!("for _, v in {{ {values} }} do print(pcall(error, v)) end"),
        format!("for _, v in {{ {values} }} do print(select(2, xpcall(error, tostring, v))) end"),
        "print(tostring(setmetatable({}, { __tostring = function(t) return 'mine' end })))".to_owned(),
    ] {
        let seen = logged(&body);
        assert!(!seen.contains("0x") && !seen.is_empty(), "{body}: {seen}");
    }
    for raised in [
        "{}",
        "print",
        "coroutine.create(print)",
        "buffer.create(1)",
        "setmetatable({}, { __type = 'x' })",
        "setmetatable({}, { __type = 'hook:0x' })",
        "setmetatable({}, { __type = '\\nstack traceback:' })",
        "select(2, pcall(tag, ','))",
        "{ {} }",
    ] {
        for body in [
            format!("error({raised})"),
            format!("coroutine.wrap(function() error({raised}) end)()"),
            format!("set_header({raised}, 'x')"),
            format!("print(#m.size, {raised})"),
            format!("return {raised} .. 'x'"),
        ] {
            let fault = fails(&body);
            assert!(!fault.to_string().contains("0x00"), "{body}: {fault}");
            assert!(!fault.to_string().contains("0x7"), "{body}: {fault}");
        }
    }
    assert_eq!(
        logged(
            "print(tostring({}), `{print}`, ('%s'):format(buffer.create(1)), tostring(1.5), tostring(nil), tostring('0x00000000deadbeef'))"
        ),
        "table function buffer 1.5 nil 0x00000000deadbeef"
    );
    assert_eq!(fails("error({})").message, "table");
    assert_eq!(
        without_places("a 0x7fffdeadbeef b: 0x1234 c: 0x0000560012345678"),
        "a  b: 0x1234 c"
    );
}

#[test]
fn chance_follows_from_our_seed_and_not_from_where_the_state_lies() {
    let program = Program::compile("function on_mail(m) end").unwrap();
    let number = |seed| {
        let mut shared = Shared::new(HookLimits::default(), Stage::Mail, &[]);
        Rc::get_mut(&mut shared).unwrap().seed = seed;
        let lua = prepare(&program, &shared).unwrap();
        lua.load("return math.random(2^30)").eval::<i64>().unwrap()
    };
    assert_eq!(number(7), number(7));
    assert_ne!(number(7), number(8));
}

#[test]
fn a_script_is_read_once_however_often_it_is_called() {
    let script = Script::new("function on_message(m) print(m.subject) end");
    assert!(script.program.get().is_none());
    script.call(&facts(Stage::Message), HookLimits::default());
    let first = std::ptr::from_ref(script.program.get().unwrap());
    let again = script.call(&facts(Stage::Message), HookLimits::default());
    assert_eq!(first, std::ptr::from_ref(script.program.get().unwrap()));
    assert_eq!(again.log, ["Grüße"]);
    let broken = Script::new("function on_message(m)\n  if then\nend");
    let run = broken.call(&facts(Stage::Message), HookLimits::default());
    assert_eq!(run.fault.unwrap().line, Some(2));
}

#[test]
fn nothing_in_it_reaches_out() {
    for name in TAKEN_AWAY
        .iter()
        .chain(&["io", "package", "dofile", "jit", "ffi", "vector.x"])
    {
        let seen = logged(&format!("print(type({name}))").replace("vector.x", "nil"));
        assert_eq!(seen, "nil", "{name}");
    }
    assert_eq!(
        logged("print(_G.os, _G.getfenv, _G.loadstring, string.dump)"),
        "nil nil nil nil"
    );
    let names = logged(
        "local n = {} for k in pairs(_G) do n[#n + 1] = k end table.sort(n) print(table.concat(n, ' '))",
    );
    let known = "_G _VERSION accept add_footer add_header assert bit32 buffer coroutine defer discard error getmetatable ipairs log math next pairs \
        pcall print rawequal rawget rawlen rawset reject route select set_header setmetatable string table tag tonumber tostring type \
        typeof unpack utf8 xpcall";
    assert_eq!(names, known);
}

#[test]
fn what_it_was_given_is_read_only() {
    for body in [
        "string.find = nil",
        "table.sort = print",
        "math.pi = 3",
        "_G.reject = accept",
        "rawset(_G, 'reject', accept)",
        "rawset(string, 'find', nil)",
        "setmetatable(_G, {})",
        "getmetatable('').__index = {}",
        "setmetatable(string, {})",
        "table.insert(string, 1)",
        "table.clear(math)",
    ] {
        let fault = fails(body);
        assert_eq!(fault.kind, FaultKind::Error, "{body}: {fault}");
    }
}

#[test]
fn one_run_leaves_nothing_for_the_next() {
    let source = "count = (count or 0) + 1 function on_message(m) count = count + 1 print(count) m.x = 1 end";
    for _ in 0..3 {
        assert_eq!(run(source).log, ["2"]);
    }
    assert_eq!(logged("print(x, y, count)"), "nil nil nil");
}

#[test]
fn what_looks_like_bytecode_is_read_as_text() {
    for first in 0..=8_u8 {
        let mut source = String::from_utf8(vec![first; 3]).unwrap();
        source.push_str("function on_message(m) end");
        assert!(check(&source, HookLimits::default()).is_err(), "{first}");
    }
    assert_eq!(
        check("\n\nfunction on_message(m) end", HookLimits::default()),
        Ok(vec![Stage::Message])
    );
}

#[test]
fn a_footer_is_asked_for_with_its_html_and_has_its_limits() {
    let run = on_message("add_footer('Us\\nLtd.') add_footer('x', '<b>x</b>')");
    let actions: Vec<String> = run.actions.iter().map(Action::describe).collect();
    assert_eq!(
        (actions, run.fault),
        (
            vec!["add footer Us Ltd.".to_owned(), "add footer x".to_owned()],
            None
        )
    );
    for (body, why) in [
        ("add_footer('')", "needs a text"),
        ("add_footer(string.rep('x', 5000))", "at most 4096 octets"),
        (
            "for i = 1, 9 do add_footer(string.rep('x', 1000)) end",
            "together at most 8192",
        ),
    ] {
        assert!(fails(body).message.contains(why), "{body}: {}", fails(body));
    }
    let early = call(
        "function on_mail(m) add_footer('x') end",
        &facts(Stage::Mail),
        HookLimits::default(),
    );
    assert!(
        early
            .fault
            .is_some_and(|fault| fault.message.contains("on_message only"))
    );
}
