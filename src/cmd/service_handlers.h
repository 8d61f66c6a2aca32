// One function per command that runs on an open volume; services.cc holds the table. Arguments and
// results are JSON. Private to cmd/.
#pragma once

#include <nlohmann/json.hpp>

#include "cmd/services.h"

namespace shoal::cmd {

using Json = nlohmann::ordered_json;
using ProgressJson = std::function<Status(const Json&)>;

Result<Json> serve_status(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_stats(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_info(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_set(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_flush(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_fsck(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_gc(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_lost(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_repack(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);
Result<Json> serve_trash_list(OpenVolume& volume, const Json& arguments,
                              const ProgressJson& progress);
Result<Json> serve_trash_restore(OpenVolume& volume, const Json& arguments,
                                 const ProgressJson& progress);
Result<Json> serve_trash_empty(OpenVolume& volume, const Json& arguments,
                               const ProgressJson& progress);
Result<Json> serve_config(OpenVolume& volume, const Json& arguments, const ProgressJson& progress);

// Who the commands act as: the operator.
meta::Request operator_request();
std::string durability_name(format::Durability durability);
Result<format::Durability> parse_durability(std::string_view text);
std::string time_text(const Time& time);  // "2026-11-25T01:59:50Z"

}  // namespace shoal::cmd
