// shoal dump: a volume's metadata as a stream, to be loaded into another engine or kept.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cmd/command.h"
#include "cmd/dump_stream.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"
#include "meta/dump.h"
#include "meta/travelling.h"

namespace shoal::cmd {
namespace {

struct DumpArguments {
  std::string url;
  std::string file = kStandardStream;
  bool move = false;
};

void show_keys(uint64_t keys) { show_progress(fmt::format("dumped {} keys", format_count(keys))); }

Json facts_of(const meta::DumpReport& report, const DumpArguments& arguments) {
  const format::Volume& volume = report.header.volume;
  return {{"volume", volume.name},
          {"uuid", volume.uuid.to_string()},
          {"dump", report.header.id.to_string()},
          {"epoch", volume.epoch},
          {"inodes", meta::count_of(report.footer.totals, 'I')},
          {"keys", report.footer.totals.keys},
          {"bytes", report.stream_bytes},
          {"sha256", to_hex(std::as_bytes(std::span(report.footer.totals.digest)))},
          {"moved_away", arguments.move}};
}

// Standard output may be the dump itself.
void print(const Context& context, const DumpArguments& arguments, const Json& facts) {
  if (arguments.file != kStandardStream) {
    print_facts(context, facts.dump());
  } else if (context.json) {
    std::fprintf(stderr, "%s\n", facts.dump(2).c_str());
  }
}

// A refused dump changes nothing, the epoch neither.
Status check_dumpable(Runtime& runtime, const MetaUrl& url) {
  TRY(check_not_mounted(runtime, url));
  TRY_ASSIGN(const auto volume, OpenVolume::open_to_read(runtime, url));
  TRY(meta::check_no_session(volume->engine(), meta::Sessions::kOutliving));
  return meta::check_nothing_staged(volume->engine());
}

Status run_dump(Context& context, const DumpArguments& arguments) {
  TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments.url));
  if (url.is_remote()) {
    return error(EINVAL, "{} is a meta server; stop it, and dump with the META-URL of its engine",
                 url.to_string());
  }
  Runtime& runtime = context.runtime;
  TRY(check_dumpable(runtime, url));
  TRY_ASSIGN(DumpOutput output, DumpOutput::open(arguments.file));
  OpenSettings settings;
  settings.though_moved = arguments.move;
  TRY_ASSIGN(const auto volume, OpenVolume::open_to_own(runtime, url, settings));
  TRY(volume->drop_owner());
  const meta::DumpSink sink = [&output](ByteView bytes) { return output.write(bytes); };
  Result<meta::DumpReport> report =
      meta::dump(volume->engine(), runtime.clock, runtime.random, sink, {.progress = show_keys});
  end_progress();
  if (!report.ok()) return std::move(report).error();
  TRY(output.finish());
  if (arguments.move) TRY(meta::move_away(volume->engine(), *report, runtime.clock));
  print(context, arguments, facts_of(*report, arguments));
  return {};
}

}  // namespace

void add_dump(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<DumpArguments>();
  CLI::App* sub = app.add_subcommand(
      "dump", "Write a volume's metadata to a file or a pipe: to move it, or as a backup");
  sub->add_option("META-URL", arguments->url, "of a volume that is not mounted")->required();
  sub->add_option("FILE", arguments->file, "a new file, or - for standard output")
      ->capture_default_str();
  sub->add_flag("--move", arguments->move,
                "the volume moves: afterwards it cannot be mounted here any more");
  sub->footer(
      "Example, from this machine into another place:\n"
      "  shoal dump --move rocksdb:///var/lib/shoal/demo - | shoal load rocksdb:///srv/demo -\n"
      "The data stays in the bucket. Of two copies the first that is mounted goes on, the other "
      "one is refused.");
  sub->callback([&context, arguments] {
    context.run = [&context, arguments] { return run_dump(context, *arguments); };
  });
}

}  // namespace shoal::cmd
