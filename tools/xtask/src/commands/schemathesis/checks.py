"""What schemathesis cannot know of a request that fits the document: a rule may refuse it.

Stands in for `positive_data_acceptance`, which takes any 400, 412 and 422 to such a request for a
finding. Here a refusal passes when it is a rule's, or when it is of a kind that no JSON schema can
say; a refusal of the request's form is a finding: the document allows what the service does not.
"""

import schemathesis
from schemathesis.specs.openapi.checks import is_unexpected_http_status_case

TAKEN = {401, 403, 404, 409, 412, 429}

# Refusals of the form, by their codes; 422 with any other code is a rule's.
OF_THE_FORM = {
    "invalid_field",
    "invalid_fields",
    "missing_field",
    "missing_parameter",
    "unknown_command",
}

# What no schema can say: members that exclude each other, a list of commands that has to be for one
# stream, a cursor that is copied and never made up.
BEYOND_SCHEMAS = {
    "contradicting_headers",
    "contradicting_parameters",
    "several_streams",
    "malformed_cursor",
}


@schemathesis.check
def what_fits_is_refused_by_rules_alone(ctx, response, case):
    """A request that fits the document is taken, or refused by a rule of the business."""
    status = response.status_code
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if is_unexpected_http_status_case(case) or status < 400 or status >= 500 or status in TAKEN:
        return
    problem = response.json()
    code = problem.get("code")
    if code in BEYOND_SCHEMAS or (status == 422 and code not in OF_THE_FORM):
        return
    errors = problem.get("errors", [])
    # JSON schemas count characters, and a stream's name is counted in bytes.
    if errors and all("bytes" in error["detail"] for error in errors):
        return
    raise AssertionError(f"{status} {code}: the document allows it, the service does not")
