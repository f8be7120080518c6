#pragma once

namespace lenet_flow {

/// The report's page with the marks {{report}} and {{timeline}} where the data goes: engine/trace/report/, put together
/// at build time.
const char* report_template();

}  // namespace lenet_flow
