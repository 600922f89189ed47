//! Who is told of traces, and which requests the access log has.

use std::time::Duration;

use locum::telemetry::trace;

use super::*;

#[test]
fn without_a_table_nothing_is_traced_and_every_request_is_written() {
    let settings = read(APP);
    assert!(settings.tracing.is_none());
    assert_eq!(settings.gateway().access_log.sample_one_in.get(), 1);
}

/// G13
#[test]
fn the_access_log_is_thinned_out_as_the_operator_decides() {
    let settings = read(&format!("[log]\naccess_sample_one_in = 50\naccess_slow = \"250ms\"\n{APP}"));
    let access_log = settings.gateway().access_log;
    assert_eq!((access_log.sample_one_in.get(), access_log.slow), (50, Duration::from_millis(250)));
}

/// G13
#[test]
#[cfg(feature = "otel")]
fn a_collector_is_an_endpoint_and_what_belongs_to_it() {
    let settings = read(&format!(
        "[tracing]\nendpoint = \"https://otlp.example.org/otlp\"\nsample_one_in = 7\nservice_name = \"gate\"\n\
         timeout = \"3s\"\n{APP}"
    ));
    let tracing = settings.tracing.unwrap();
    assert_eq!(tracing.endpoint.to_string(), "https://otlp.example.org:443/otlp/v1/traces");
    assert!(tracing.tls.is_some() && tracing.headers.is_empty());
    assert_eq!((tracing.sample_one_in.get(), tracing.service_name.as_str()), (7, "gate"));
    assert_eq!(tracing.timeout, Duration::from_secs(3));
    let near = read(&format!("[tracing]\nendpoint = \"http://127.0.0.1:4318\"\n{APP}")).tracing.unwrap();
    assert!(near.tls.is_none());
    assert_eq!(near.sample_one_in.get(), 100);
}

/// G13: half of a table is not half of the traces.
#[test]
#[cfg(feature = "otel")]
fn what_is_wrong_with_traces_is_said() {
    for (table, problem) in [
        (
            "sample_one_in = 1",
            "locum.toml:5:1: `tracing.sample_one_in` has no effect: there is no `tracing.endpoint`; give the endpoint, or \
             leave this out",
        ),
        (
            "endpoint = \"collector:4318\"",
            "locum.toml:5:12: `tracing.endpoint` is not where a collector could be; give `http://HOST:PORT` or \
             `https://HOST:PORT`, such as `http://127.0.0.1:4318`",
        ),
        (
            "endpoint = \"http://me:hunter2@collector\"",
            "locum.toml:5:12: `tracing.endpoint` is not where a collector could be; leave out user and password: put a \
             header into `headers_file`",
        ),
        (
            "endpoint = \"http://collector:4317\"",
            "locum.toml:5:12: `tracing.endpoint` is not where a collector could be; port 4317 is for gRPC by custom: give \
             the one for HTTP, such as `http://127.0.0.1:4318`",
        ),
        (
            "endpoint = \"http://collector\"\nca_file = \"ca.pem\"",
            "locum.toml:6:1: `tracing.ca_file` has no effect: the endpoint is not `https://`; ask for TLS in the endpoint, \
             or leave this out",
        ),
        (
            "endpoint = \"http://collector\"\nheaders_file = \"gone\"",
            "locum.toml:6:16: `tracing.headers_file`: `/etc/locum/gone` cannot be read: entity not found; give a file that \
             Locum may read",
        ),
        (
            "endpoint = \"http://collector\"\nservice_name = \"\"",
            "locum.toml:6:16: `tracing.service_name` cannot be ``; give a name",
        ),
    ] {
        let found = wrong_beside_an_app(&format!("[tracing]\n{table}"));
        assert_eq!(found, problem);
        assert!(!found.contains("hunter2"));
    }
}

/// G13: a binary without traces says so, and does not just send none.
#[test]
fn a_binary_without_traces_refuses_their_table() {
    let text = format!("[tracing]\nendpoint = \"http://127.0.0.1:4318\"\n{APP}");
    let found = read_with(&text, &[]);
    if trace::AVAILABLE {
        assert!(found.is_ok());
    } else {
        let problem = "locum.toml:2:1: `tracing.endpoint`: this `locum` was built without traces; build it with the \
                       feature `otel`, or leave this out";
        assert_eq!(found.unwrap_err().to_string(), problem);
    }
}
