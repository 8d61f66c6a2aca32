// OwnerEndpoint: an embedded owner answers other mounts of its volume on this machine, over a Unix
// socket beside the metadata. They find the token in a file that only this user may read.
#pragma once

#include <memory>
#include <string>

#include "cmd/open_volume.h"

namespace shoal::cmd {

// How another process of this user on this machine reaches the owner of the volume in `folder`.
struct EndpointPlace {
  NetAddress address;
  std::string token_file;
};
EndpointPlace endpoint_place(const std::string& folder);

class OwnerEndpoint {
 public:
  // `volume` is owned here, and outlives it.
  static Result<std::unique_ptr<OwnerEndpoint>> start(OpenVolume& volume);
  virtual ~OwnerEndpoint() = default;  // the others wait for the next owner
};

}  // namespace shoal::cmd
