//! Bodies: what is not JSON, what is not in our vocabulary, what does not fit (hazards 6.1).

use crate::support::Server;

const FITTING: &str = r#"{"address":"Dock 4","weight_grams":120}"#;

#[tokio::test]
async fn a_fitting_body_is_taken_as_it_was_meant() {
    let server = Server::start().await;
    let body = r#"{"address":"'; drop table x --  ünï \"q\"","weight_grams":-0,"labels":[{"text":"a/b~c"}]}"#;
    let answer = server.post_json(body.replace("-0", "0")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["address"], "'; drop table x --  ünï \"q\"");
    let charset = "content-type: Application/JSON; charset=\"UTF-8\"\r\n";
    assert_eq!(server.post("/parcels", charset, FITTING).await.status, 201);
    server.stop().await;
}

#[tokio::test]
async fn h01_a_body_that_is_not_json_is_400() {
    let server = Server::start().await;
    for body in ["parcel", "{", r#"{"address":"x","weight_grams":1"#, "{} {}", "[1,]", "'x'"] {
        server.post_json(body).await.is_problem(400, "malformed_json");
    }
    server.stop().await;
}

#[tokio::test]
async fn h02_an_empty_body_is_400() {
    let server = Server::start().await;
    for body in ["", " \r\n\t"] {
        server.post_json(body).await.is_problem(400, "empty_body");
    }
    let absent = "POST /parcels HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\r\n";
    server.exchange(absent).await.is_problem(400, "empty_body");
    server.stop().await;
}

#[tokio::test]
async fn h03_another_content_type_or_none_is_415() {
    let server = Server::start().await;
    for headers in [
        "",
        "content-type: text/plain\r\n",
        "content-type: application/jsonx\r\n",
        "content-type: application/json; charset=latin1\r\n",
        "content-type: application/json; boundary=x\r\n",
        "content-type: application/json\r\ncontent-encoding: gzip\r\n",
    ] {
        let answer = server.post("/parcels", headers, FITTING).await;
        answer.is_problem(415, "unsupported_media_type");
    }
    server.stop().await;
}

#[tokio::test]
async fn h08_ten_thousand_nested_levels_are_400_and_not_a_crash() {
    let server = Server::start().await;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let body = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        server.post_json(body).await.is_problem(400, "malformed_json");
    }
    assert_eq!(server.post_json(FITTING).await.status, 201);
    server.stop().await;
}

#[tokio::test]
async fn h09_a_key_that_appears_twice_is_400_with_its_pointer() {
    let server = Server::start().await;
    let twice = r#"{"address":"a","weight_grams":1,"address":"b"}"#;
    server.post_json(twice).await.is_problem_at(400, "duplicate_key", "/address");
    let deep =
        r#"{"address":"a","weight_grams":1,"labels":[{"text":"a"},{"text":"b","te\u0078t":"c"}]}"#;
    server.post_json(deep).await.is_problem_at(400, "duplicate_key", "/labels/1/text");
    server.stop().await;
}

#[tokio::test]
async fn h10_an_unknown_field_is_400_and_named() {
    let server = Server::start().await;
    let body = r#"{"address":"a","weight_grams":1,"colour/x":"red"}"#;
    let answer = server.post_json(body).await;
    answer.is_problem_at(400, "unknown_field", "/colour~1x");
    assert!(answer.json()["detail"].as_str().unwrap().contains("colour/x"));
    let deep = r#"{"address":"a","weight_grams":1,"labels":[{"text":"a","size":1}]}"#;
    server.post_json(deep).await.is_problem_at(400, "unknown_field", "/labels/0/size");
    server.stop().await;
}

#[tokio::test]
async fn h11_a_missing_field_is_422_with_its_pointer() {
    let server = Server::start().await;
    let body = r#"{"address":"a"}"#;
    server.post_json(body).await.is_problem_at(422, "missing_field", "/weight_grams");
    let deep = r#"{"address":"a","weight_grams":1,"labels":[{}]}"#;
    server.post_json(deep).await.is_problem_at(422, "missing_field", "/labels/0/text");
    server.stop().await;
}

#[tokio::test]
async fn h12_a_wrong_type_is_422_with_its_pointer() {
    let server = Server::start().await;
    for (weight, address) in [(r#""120""#, r#""a""#), ("null", r#""a""#), ("[]", r#""a""#)] {
        let body = format!(r#"{{"address":{address},"weight_grams":{weight}}}"#);
        server.post_json(body).await.is_problem_at(422, "invalid_field", "/weight_grams");
    }
    let number = r#"{"address":5,"weight_grams":1}"#;
    server.post_json(number).await.is_problem_at(422, "invalid_field", "/address");
    let answer = server.post_json("[1]").await;
    let document = answer.is_problem(422, "invalid_field");
    assert!(!document.to_string().contains("SendParcel"), "our type names are internal");
    server.stop().await;
}

#[tokio::test]
async fn h13_a_number_that_no_integer_holds_is_422() {
    let server = Server::start().await;
    for weight in [
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999999",
        "1e400",
        "-0",
        "1.5",
        "1e2",
        "NaN",
        "Infinity",
        "-Infinity",
    ] {
        let body = format!(r#"{{"address":"a","weight_grams":{weight}}}"#);
        let answer = server.post_json(body).await;
        answer.is_problem_at(422, "invalid_field", "/weight_grams");
    }
    server.stop().await;
}

#[tokio::test]
async fn h14_a_nul_in_a_text_is_422_with_its_pointer() {
    let server = Server::start().await;
    let body = r#"{"address":"a\u0000b","weight_grams":1}"#;
    server.post_json(body).await.is_problem_at(422, "invalid_field", "/address");
    server.get("/parcels?limit=1%00", "").await.is_problem(422, "invalid_field");
    server.stop().await;
}

#[tokio::test]
async fn h15_a_lone_surrogate_or_bytes_that_are_not_utf8_are_400() {
    let server = Server::start().await;
    for text in [r"\ud800", r"\udc00", r"\ud800\u0041"] {
        let body = format!(r#"{{"address":"{text}","weight_grams":1}}"#);
        server.post_json(body).await.is_problem(400, "malformed_json");
    }
    let mut body = br#"{"address":"x","weight_grams":1}"#.to_vec();
    body[12] = 0xff;
    server.post_json(body).await.is_problem(400, "malformed_json");
    server.stop().await;
}
