//! The answers that the relay gives itself. Small, complete, and the same for everyone: reasons belong into logs.

use super::request::Method;

/// An answer with this status. `keep`: another request may follow; `retry_after` in seconds.
pub fn page(status: u16, method: Method, keep: bool, retry_after: Option<u32>) -> Vec<u8> {
    let (name, text) = words(status);
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{status} {name}</title></head>\
         <body><h1>{status} {name}</h1><p>{text}</p></body></html>\n"
    );
    let mut page = format!(
        "HTTP/1.1 {status} {name}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n",
        body.len()
    );
    if let Some(seconds) = retry_after {
        page.push_str(&format!("Retry-After: {seconds}\r\n"));
    }
    page.push_str(if keep { "\r\n" } else { "Connection: close\r\n\r\n" });
    if method != Method::Head {
        page.push_str(&body);
    }
    page.into_bytes()
}

fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        404 => ("Not Found", "There is nothing at this address."),
        408 => ("Request Timeout", "The request took too long to arrive."),
        417 => ("Expectation Failed", "The request expects something that is not offered here."),
        431 => ("Request Header Fields Too Large", "The request's header is too large."),
        501 => ("Not Implemented", "The request needs something that is not offered here."),
        502 => ("Bad Gateway", "The service gave no valid answer. Please try again."),
        503 => ("Service Unavailable", "The service cannot answer at the moment. Please try again soon."),
        504 => ("Gateway Timeout", "The service did not answer in time. Please try again."),
        505 => ("HTTP Version Not Supported", "Please use HTTP/1.1."),
        _ => ("Bad Request", "The request could not be understood."),
    }
}
