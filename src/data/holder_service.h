// HolderService: gives other mounts of the volume what is staged here, and uploads it when they
// ask. Who asks has proved that it knows the volume's token; every byte is verified after it was
// read from the disk (I3).
#pragma once

#include <memory>
#include <string>

#include "data/reader.h"
#include "data/staging.h"
#include "rpc/server.h"

namespace shoal::data {

struct HolderServiceOptions {
  NetAddress listen;  // port 0: any
  std::string volume, token;
};

class HolderService {
 public:
  // `staging` and `reader` (over it) outlive the service. Its calls read files on the seams'
  // executor.
  static Result<std::unique_ptr<HolderService>> start(const rpc::Seams& seams, Staging& staging,
                                                      Reader& reader,
                                                      const HolderServiceOptions& options);
  virtual ~HolderService() = default;  // waits for calls that run
  virtual NetAddress address() const = 0;
};

}  // namespace shoal::data
