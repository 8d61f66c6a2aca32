// shoal load: puts a dump into an engine that holds nothing.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cmd/command.h"
#include "cmd/dump_stream.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"
#include "meta/access_token.h"
#include "meta/load.h"
#include "meta/travelling.h"

namespace shoal::cmd {
namespace {

struct LoadArguments {
  std::string url, file;
  bool metadata_loss_accepted = false;
  bool start_over = false;
};

void show_keys(uint64_t keys) { show_progress(fmt::format("loaded {} keys", format_count(keys))); }

// What is wrong with the dump is said of its file.
Error of_file(const Error& error, const std::string& file) {
  const bool dump = error.is(EBADMSG) || error.is(ENOTSUP);
  return dump ? error.in(file == kStandardStream ? "standard input" : file) : error;
}

// Only what an interrupted load left; never a volume.
Status remove_unfinished(Runtime& runtime, const MetaUrl& url) {
  {
    TRY_ASSIGN(const auto engine, open_engine(runtime.fs, runtime.clock, url));
    const Status unfinished = meta::check_no_load(*engine);
    if (unfinished.ok())
      return error(EINVAL, "--start-over: there is no unfinished load at {}", url.to_string());
    if (!unfinished.error().is(EINPROGRESS)) return unfinished;
  }
  return remove_engine(runtime.fs, runtime.clock, url);
}

void print_how_to_use(const MetaUrl& url) {
  if (url.kind == MetaUrl::Kind::kPostgres) {
    std::printf("\nServe it with:  shoal meta --engine '%s'\n", url.to_string().c_str());
  } else {
    std::printf("\nMount it with:  shoal mount %s MOUNTPOINT --background\n",
                url.to_string().c_str());
  }
}

Status run_load(Context& context, const LoadArguments& arguments) {
  TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments.url));
  if (url.is_remote()) {
    return error(EINVAL, "{} is a meta server; load into its engine: rocksdb://… or postgres://…",
                 url.to_string());
  }
  Runtime& runtime = context.runtime;
  TRY(check_not_mounted(runtime, url));
  TRY_ASSIGN(DumpInput input, DumpInput::open(arguments.file));
  auto reader = meta::DumpReader::open([&input](MutableBytes into) { return input.read(into); });
  if (!reader.ok()) return of_file(reader.error(), arguments.file);
  if (arguments.start_over) TRY(remove_unfinished(runtime, url));
  TRY_ASSIGN(
      const auto engine,
      open_engine(runtime.fs, runtime.clock, url,
                  {.create = true, .metadata_loss_accepted = arguments.metadata_loss_accepted}));
  const Result<meta::LoadReport> report =
      meta::load(*engine, **reader, runtime.random, {.progress = show_keys});
  end_progress();
  if (!report.ok()) return of_file(report.error(), arguments.file);

  // The old place's token stays with it.
  TRY(meta::draw_access_token(*engine, runtime.random, /*renew=*/false));
  const format::DumpTotals& totals = report->footer.totals;
  const Json facts{{"volume", report->volume.name},
                   {"uuid", report->volume.uuid.to_string()},
                   {"dump", (*reader)->header().id.to_string()},
                   {"dumped", time_text((*reader)->header().made)},
                   {"epoch", report->volume.epoch},
                   {"bucket", report->volume.bucket},
                   {"inodes", meta::count_of(totals, 'I')},
                   {"keys", totals.keys},
                   {"sha256", to_hex(std::as_bytes(std::span(totals.digest)))},
                   {"resumed", report->chunks_before > 0}};
  print_facts(context, facts.dump());
  if (!context.json) print_how_to_use(url);
  return {};
}

}  // namespace

void add_load(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<LoadArguments>();
  CLI::App* sub = app.add_subcommand(
      "load", "Put a dump into a place that holds no volume; an interrupted load goes on");
  sub->add_option("META-URL", arguments->url, "where the volume is to be")->required();
  sub->add_option("FILE", arguments->file, "what shoal dump wrote, or - for standard input")
      ->required();
  sub->add_flag("--start-over", arguments->start_over,
                "give up what an interrupted load left there, and begin anew");
  sub->add_flag("--metadata-loss-accepted", arguments->metadata_loss_accepted,
                "PostgreSQL: in spite of settings that may lose what was committed");
  sub->footer(
      "Everything is verified before it is written, and read back before the volume appears. Run "
      "the same command again after an interruption.");
  sub->callback([&context, arguments] {
    context.run = [&context, arguments] { return run_load(context, *arguments); };
  });
}

}  // namespace shoal::cmd
