//! What each model takes an operation of a history for: by its name, its value and what became of it. And what the
//! model says of that: whether it leaves the state as it is, and whether an ok one says what the state was.

#![allow(clippy::unwrap_used)]

use histcheck::linear::models::counter::Counter;
use histcheck::linear::models::fenced_mutex::FencedMutex;
use histcheck::linear::models::fetch_add::FetchAdd;
use histcheck::linear::models::kv_append::KvAppend;
use histcheck::linear::models::list_append::ListAppend;
use histcheck::linear::models::lock::Lock;
use histcheck::linear::models::multi_register::MultiRegister;
use histcheck::linear::models::priority_queue::PriorityQueue;
use histcheck::linear::models::queue::Queue;
use histcheck::linear::models::set::Set;
use histcheck::linear::models::stack::Stack;
use histcheck::linear::models::table::Table;
use histcheck::linear::object::{Call, Object};
use histcheck::linear::op::Fate;
use histcheck::linear::register::Register;
use histcheck::values::{Id, NULL, Values};

/// A call and the rest of its line, which says what is expected of it.
fn parsed(line: &str) -> (&str, &str, Fate, &str) {
    let (call, expected) = line.split_once(" = ").unwrap();
    let mut parts = call.split_whitespace();
    let (fate, word) = (parts.next().unwrap(), parts.next().unwrap());
    let value = call.split_once(word).unwrap().1.trim();
    let fate = match fate {
        "ok" => Fate::Ok,
        "info" => Fate::Info,
        "fail" => Fate::Fail,
        other => panic!("{other}"),
    };
    (word, value, fate, expected)
}

/// What a model says of each call, in a text like the one that asks.
fn answers<O: Object>(object: &O, asked: &str) -> String {
    let mut all = String::new();
    for line in asked.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, value, fate, _) = parsed(line);
        let mut values = Values::default();
        let value =
            (!value.is_empty()).then(|| values.intern(&serde_json::from_str(value).unwrap()));
        let call = Call { word, value, fate, process: 7, values: &values };
        let answer = match object.act(&call) {
            Err(clause) => format!("error: {clause}"),
            Ok(None) => "nothing".into(),
            Ok(Some(act)) => {
                let read = if object.is_read(&act) { ", a read" } else { "" };
                let observes = if object.observes(&act) { ", observes" } else { "" };
                format!("{}{read}{observes}", named(&format!("{act:?}"), &values))
            }
        };
        all += &format!("{} = {answer}\n", line.split_once(" = ").unwrap().0);
    }
    all
}

/// Values in place of their numbers.
fn named(text: &str, values: &Values) -> String {
    let mut parts = text.split("Id(");
    let mut all = parts.next().unwrap().to_string();
    for part in parts {
        let (id, rest) = part.split_once(')').unwrap();
        all += &(values.show(Id(id.parse().unwrap())) + rest);
    }
    all
}

fn takes<O: Object>(object: &O, expected: &str) {
    let lines = expected.lines().map(str::trim).filter(|line| !line.is_empty());
    let expected: String = lines.map(|line| format!("{line}\n")).collect();
    assert_eq!(answers(object, &expected), expected);
}

#[test]
fn registers_take_reads_writes_and_cas() {
    takes(
        &Register { initial: NULL, has_cas: false, fail_observes: false },
        r#"
        ok read = error: an ok read says no value; write null for a register that is empty
        info read = nothing
        fail read = nothing
        ok read 1 = Read(1), a read, observes
        info read 1 = Read(1), a read, observes
        fail read 1 = Read(1), a read, observes
        ok write = error: a write has no value
        info write = error: a write has no value
        fail write = nothing
        ok write 1 = Write(1)
        info write 1 = Write(1)
        fail write 1 = Write(1)
        ok cas [1,2] = error: the model register has no operation "cas"; take --model cas-register
        ok jump 1 = error: the model register has no operation "jump"
        "#,
    );
    takes(
        &Register::default(),
        r#"
        ok read = error: an ok read says no value; write null for a register that is empty
        info read = nothing
        fail read = nothing
        ok read 1 = Read(1), a read, observes
        info read 1 = Read(1), a read, observes
        fail read 1 = Read(1), a read, observes
        ok write = error: a write has no value
        info write = error: a write has no value
        fail write = nothing
        ok write 1 = Write(1)
        info write 1 = Write(1)
        fail write 1 = Write(1)
        ok cas = error: a cas has no value; it must be [expected, new]
        info cas = error: a cas has no value; it must be [expected, new]
        fail cas = nothing
        ok cas [1,2] = Cas(1, 2), observes
        info cas [1,2] = Cas(1, 2), observes
        fail cas [1,2] = Cas(1, 2), observes
        ok cas 1 = error: the value of a cas must be [expected, new], not 1
        info cas 1 = error: the value of a cas must be [expected, new], not 1
        fail cas 1 = error: the value of a cas must be [expected, new], not 1
        ok jump 1 = error: the model cas-register has no operation "jump"
        info jump 1 = error: the model cas-register has no operation "jump"
        fail jump 1 = error: the model cas-register has no operation "jump"
        "#,
    );
    takes(
        &Register { fail_observes: true, ..Register::default() },
        r#"
        ok cas [1,2] = Cas(1, 2), observes
        info cas [1,2] = Cas(1, 2), observes
        fail cas [1,2] = Differs(1), a read, observes
        ok cas = error: a cas has no value; it must be [expected, new]
        info cas = error: a cas has no value; it must be [expected, new]
        fail cas = nothing
        "#,
    );
}

/// What a container with these words says; priorities say more, and are written out.
fn container(model: &str, put: &str, take: &str) -> String {
    let text = r#"
        ok PUT = error: the operation "PUT" has no value
        info PUT = error: the operation "PUT" has no value
        fail PUT = nothing
        ok PUT 1 = Put(1)
        info PUT 1 = Put(1)
        fail PUT 1 = Put(1)
        ok TAKE = error: an ok TAKE says no value; write null where nothing was there
        info TAKE = TakeAny, observes
        fail TAKE = nothing
        ok TAKE null = Empty, a read, observes
        info TAKE null = TakeAny, observes
        fail TAKE null = nothing
        ok TAKE 1 = Take(1), observes
        info TAKE 1 = Take(1), observes
        fail TAKE 1 = nothing
        ok jump 1 = error: the model MODEL has no operation "jump"
        info jump = error: the model MODEL has no operation "jump"
        fail jump = error: the model MODEL has no operation "jump"
        fail jump 1 = error: the model MODEL has no operation "jump"
        info jump null = error: the model MODEL has no operation "jump"
        ok jump null = error: the model MODEL has no operation "jump"
        "#;
    text.replace("MODEL", model).replace("PUT", put).replace("TAKE", take)
}

#[test]
fn containers_take_what_is_put_and_what_is_taken() {
    takes(&Queue { is_fifo: true }, &container("fifo-queue", "enqueue", "dequeue"));
    takes(&Queue { is_fifo: false }, &container("unordered-queue", "enqueue", "dequeue"));
    takes(&Stack, &container("stack", "push", "pop"));
    takes(
        &PriorityQueue,
        r#"
        ok insert = error: the operation "insert" has no value
        info insert = error: the operation "insert" has no value
        fail insert = nothing
        ok insert 1 = Ranked { act: Put(1), rank: 1 }
        info insert 1 = Ranked { act: Put(1), rank: 1 }
        fail insert 1 = Ranked { act: Put(1), rank: 1 }
        ok extract = error: an ok extract says no value; write null where nothing was there
        info extract = Ranked { act: TakeAny, rank: 0 }, observes
        fail extract = nothing
        ok extract null = Ranked { act: Empty, rank: 0 }, a read, observes
        info extract null = Ranked { act: TakeAny, rank: 0 }, observes
        fail extract null = nothing
        ok extract 1 = Ranked { act: Take(1), rank: 1 }, observes
        info extract 1 = Ranked { act: Take(1), rank: 1 }, observes
        fail extract 1 = nothing
        ok jump 1 = error: the model priority-queue has no operation "jump"
        info jump = error: the model priority-queue has no operation "jump"
        fail jump = error: the model priority-queue has no operation "jump"
        fail jump 1 = error: the model priority-queue has no operation "jump"
        info jump null = error: the model priority-queue has no operation "jump"
        ok jump null = error: the model priority-queue has no operation "jump"
        ok insert "a" = error: a priority is a whole number of 64 bits, not "a"
        "#,
    );
}

#[test]
fn locks_take_who_acquires_and_releases() {
    takes(
        &Lock::Mutex,
        r#"
        ok acquire = Acquire(7), observes
        info acquire = Acquire(7), observes
        fail acquire = Acquire(7), observes
        ok release = Release(7), observes
        info release = Release(7), observes
        fail release = Release(7), observes
        ok jump = error: the model mutex has no operation "jump"
        "#,
    );
    takes(
        &Lock::Reentrant,
        r#"
        ok acquire = Acquire(7), observes
        ok jump = error: the model reentrant-mutex has no operation "jump"
        "#,
    );
    takes(
        &Lock::Semaphore(2),
        r#"
        ok acquire = Acquire(7), observes
        ok jump = error: the model semaphore has no operation "jump"
        "#,
    );
    takes(
        &FencedMutex,
        r#"
        ok acquire = error: an ok acquire must say its token, a whole number
        info acquire = Acquire(7, None), observes
        fail acquire = Acquire(7, None), observes
        ok acquire 3 = Acquire(7, Some(3)), observes
        info acquire 3 = Acquire(7, None), observes
        fail acquire 3 = Acquire(7, None), observes
        ok release = Release(7), observes
        info release = Release(7), observes
        fail release = Release(7), observes
        ok acquire "a" = error: an ok acquire must say its token, a whole number
        ok jump = error: the model fenced-mutex has no operation "jump"
        "#,
    );
}

#[test]
fn counters_take_whole_numbers() {
    takes(
        &Counter { initial: 0 },
        r#"
        ok inc = Add(1)
        info inc = Add(1)
        fail inc = Add(1)
        ok inc 2 = Add(2)
        info inc 2 = Add(2)
        fail inc 2 = Add(2)
        ok dec = Add(-1)
        info dec = Add(-1)
        fail dec = Add(-1)
        ok dec 2 = Add(-2)
        info dec 2 = Add(-2)
        fail dec 2 = Add(-2)
        ok add = error: an add has no value
        info add = error: an add has no value
        fail add = nothing
        ok add 0 = Add(0), a read
        info add 0 = Add(0), a read
        fail add 0 = Add(0), a read
        ok add -3 = Add(-3)
        info add -3 = Add(-3)
        fail add -3 = Add(-3)
        ok read = error: an ok read says no value
        info read = nothing
        fail read = nothing
        ok read 1 = Read(1), a read, observes
        info read 1 = nothing
        fail read 1 = nothing
        ok increment = Add(1)
        ok decrement = Add(-1)
        ok add "a" = error: a counter counts in whole numbers of 64 bits, not "a"
        ok read null = error: an ok read says no value
        ok dec -9223372036854775808 = error: the number added, which is its negative, has more than 64 bits
        ok jump = error: the model counter has no operation "jump"
        ok jump 1 = error: the model counter has no operation "jump"
        "#,
    );
    takes(
        &FetchAdd { initial: 0 },
        r#"
        ok fetch-add = error: the value of an ok fetch-add must be [added, before], whole numbers of 64 bits
        info fetch-add = error: a fetch-add must say what it adds, a whole number of 64 bits
        fail fetch-add = nothing
        ok fetch-add 1 = error: the value of an ok fetch-add must be [added, before], whole numbers of 64 bits
        info fetch-add 1 = Add(1, None), observes
        fail fetch-add 1 = Add(1, None), observes
        ok fetch-add [1,0] = Add(1, Some(0)), observes
        info fetch-add [1,0] = Add(1, None), observes
        fail fetch-add [1,0] = Add(1, None), observes
        ok fetch-add [0,5] = Add(0, Some(5)), a read, observes
        info fetch-add [0,5] = Add(0, None), a read, observes
        fail fetch-add [0,5] = Add(0, None), a read, observes
        ok read = error: an ok read must return a whole number of 64 bits
        info read = nothing
        fail read = nothing
        ok read 1 = Read(1), a read, observes
        info read 1 = nothing
        fail read 1 = nothing
        ok read null = error: an ok read must return a whole number of 64 bits
        info read null = nothing
        fail read null = nothing
        ok fetch-add ["a",1] = error: the value of an ok fetch-add must be [added, before], whole numbers of 64 bits
        ok fetch-add [1,"a"] = error: the value of an ok fetch-add must be [added, before], whole numbers of 64 bits
        ok fetch-add [1] = error: the value of an ok fetch-add must be [added, before], whole numbers of 64 bits
        ok read "a" = error: an ok read must return a whole number of 64 bits
        ok jump = error: the model fetch-add has no operation "jump"
        "#,
    );
}

#[test]
fn sets_and_lists_take_elements_and_what_was_seen_of_all() {
    takes(
        &Set,
        r#"
        ok add = error: the operation "add" has no value
        info add = error: the operation "add" has no value
        fail add = nothing
        ok add 1 = Add(1)
        info add 1 = Add(1)
        fail add 1 = Add(1)
        ok remove = error: the operation "remove" has no value
        info remove = error: the operation "remove" has no value
        fail remove = nothing
        ok remove 1 = Remove(1)
        info remove 1 = Remove(1)
        fail remove 1 = Remove(1)
        ok contains = error: the value of an ok contains must be [element, true or false]
        info contains = nothing
        fail contains = nothing
        ok contains [1,true] = Contains(1, true), a read, observes
        info contains [1,true] = nothing
        fail contains [1,true] = nothing
        ok read = error: an ok read must return a list
        info read = nothing
        fail read = nothing
        ok read null = Whole([]), a read, observes
        info read null = nothing
        fail read null = nothing
        ok read [2,1,2] = Whole([1, 2]), a read, observes
        info read [2,1,2] = nothing
        fail read [2,1,2] = nothing
        ok contains [1,false] = Contains(1, false), a read, observes
        ok contains [1,2] = error: the value of an ok contains must be [element, true or false]
        ok contains [1] = error: the value of an ok contains must be [element, true or false]
        ok read 1 = error: an ok read must return a list
        ok jump = error: the model set has no operation "jump"
        "#,
    );
    takes(
        &ListAppend { initial: Vec::new() },
        r#"
        ok append = error: an append has no value
        info append = error: an append has no value
        fail append = nothing
        ok append 1 = Append(1)
        info append 1 = Append(1)
        fail append 1 = Append(1)
        ok read = error: an ok read must return a list
        info read = nothing
        fail read = nothing
        ok read null = Read([]), a read, observes
        info read null = nothing
        fail read null = nothing
        ok read [2,1] = Read([2, 1]), a read, observes
        info read [2,1] = nothing
        fail read [2,1] = nothing
        ok read 1 = error: an ok read must return a list
        ok jump = error: the model list-append has no operation "jump"
        "#,
    );
}

#[test]
fn stores_take_strings_and_transactions() {
    takes(
        &KvAppend { initial: "".into() },
        r#"
        ok put = error: the operation "put" has no value
        info put = error: the operation "put" has no value
        fail put = nothing
        ok put "a" = Put("a")
        info put "a" = Put("a")
        fail put "a" = Put("a")
        ok append = error: the operation "append" has no value
        info append = error: the operation "append" has no value
        fail append = nothing
        ok append "b" = Append("b")
        info append "b" = Append("b")
        fail append "b" = Append("b")
        ok append "" = Append(""), a read
        info append "" = Append(""), a read
        fail append "" = Append(""), a read
        ok get = error: the operation "get" has no value
        info get = nothing
        fail get = nothing
        ok get null = Get(""), a read, observes
        info get null = nothing
        fail get null = nothing
        ok get "ab" = Get("ab"), a read, observes
        info get "ab" = nothing
        fail get "ab" = nothing
        ok put 1 = error: the model kv-append has strings only, not 1
        ok jump "a" = error: the model kv-append has no operation "jump"
        "#,
    );
    takes(
        &MultiRegister::holding(&serde_json::Value::Null),
        r#"
        ok read = error: the value of a read must be an object of names and values, not null
        info read = nothing
        fail read = nothing
        ok read {"x":1} = [Micro { is_write: false, name: "\"x\"", value: "1" }], a read, observes
        info read {"x":1} = nothing
        fail read {"x":1} = nothing
        ok write = error: the value of a write must be an object of names and values, not null
        info write = error: the value of a write must be an object of names and values, not null
        fail write = nothing
        ok write {"x":1} = [Micro { is_write: true, name: "\"x\"", value: "1" }]
        info write {"x":1} = [Micro { is_write: true, name: "\"x\"", value: "1" }]
        fail write {"x":1} = nothing
        ok txn = error: the value of a txn must be a list of operations, not null
        info txn = error: the value of a txn must be a list of operations, not null
        fail txn = nothing
        ok txn [["w","x",1]] = [Micro { is_write: true, name: "\"x\"", value: "1" }]
        info txn [["w","x",1]] = [Micro { is_write: true, name: "\"x\"", value: "1" }]
        fail txn [["w","x",1]] = nothing
        ok txn [["r","x",1]] = [Micro { is_write: false, name: "\"x\"", value: "1" }], a read, observes
        info txn [["r","x",1]] = nothing
        fail txn [["r","x",1]] = nothing
        ok txn [["r","x",1],["w","y",2]] = [Micro { is_write: false, name: "\"x\"", value: "1" }, Micro { is_write: true, name: "\"y\"", value: "2" }], observes
        info txn [["r","x",1],["w","y",2]] = [Micro { is_write: true, name: "\"y\"", value: "2" }]
        fail txn [["r","x",1],["w","y",2]] = nothing
        ok read {} = nothing
        ok txn [["a","x",1]] = error: an operation of a txn must be ["r" or "w", name, value], not ["a","x",1]
        ok jump = error: the model multi-register has no operation "jump"
        "#,
    );
}

/// The first state is not the first that a row names, and one word has two meanings.
const DOOR: &str =
    "open shut * shut\nstart ajar\najar open 1 open\najar open 2 shut\nopen look 5 open\n";

#[test]
fn a_table_takes_the_words_and_values_of_its_rows() {
    let door = Table::parse("door", DOOR).unwrap();
    let mut next = Vec::new();
    door.step(&door.initial(), &[(door.initial(), 7)].into(), &mut next);
    assert_eq!(next, [7]);
    assert_ne!(door.initial(), 0, "open comes first");
    takes(
        &door,
        r#"
        ok open 1 = [(2, 0)], observes
        ok open = [], a read, observes
        ok open null = [], a read, observes
        ok open 3 = [], a read, observes
        info open = [(2, 0), (2, 1)], observes
        info open null = [(2, 0), (2, 1)], observes
        info open 2 = [(2, 1)], observes
        fail open 2 = nothing
        ok shut = [(0, 1)], observes
        ok shut 9 = [(0, 1)], observes
        info shut 9 = [(0, 1)], observes
        ok look 5 = [(0, 0)], a read, observes
        ok jump = error: the model door has no operation "jump"
        fail jump = error: the model door has no operation "jump"
        "#,
    );
}
