// Certificates made on the spot: a CA, and what it signs.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "base/check.h"

namespace shoal::rpc {

class TestCa {
 public:
  struct Subject {
    std::string name;
    std::string alternatives = "DNS:localhost,IP:127.0.0.1";
    long valid_from_s = -3600;  // from now
    long valid_until_s = 3600;
  };

  // Files are PREFIX.pem and PREFIX.key.
  TestCa(const std::string& prefix, const std::string& name) : ca_file(prefix + ".pem") {
    key_ = ::EVP_EC_gen("P-256");
    certificate_ = make(*key_, {.name = name, .alternatives = ""}, nullptr);
    write(prefix, *certificate_, *key_);
  }
  ~TestCa() {
    ::X509_free(certificate_);
    ::EVP_PKEY_free(key_);
  }
  TestCa(const TestCa&) = delete;
  TestCa& operator=(const TestCa&) = delete;

  void sign(const std::string& prefix, const Subject& subject) {
    EVP_PKEY* key = ::EVP_EC_gen("P-256");
    X509* certificate = make(*key, subject, certificate_);
    write(prefix, *certificate, *key);
    ::X509_free(certificate);
    ::EVP_PKEY_free(key);
  }

  const std::string ca_file;

 private:
  X509* make(EVP_PKEY& key, const Subject& subject, X509* issuer) {
    X509* made = ::X509_new();
    ::X509_set_version(made, 2);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(made), ++serial_);
    ::X509_gmtime_adj(::X509_getm_notBefore(made), subject.valid_from_s);
    ::X509_gmtime_adj(::X509_getm_notAfter(made), subject.valid_until_s);
    ::X509_set_pubkey(made, &key);
    X509_NAME* name = ::X509_get_subject_name(made);
    ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(subject.name.c_str()), -1,
                                 -1, 0);
    ::X509_set_issuer_name(made, issuer == nullptr ? name : ::X509_get_subject_name(issuer));
    if (issuer == nullptr) extend(*made, NID_basic_constraints, "critical,CA:TRUE");
    if (!subject.alternatives.empty())
      extend(*made, NID_subject_alt_name, subject.alternatives.c_str());
    CHECK(::X509_sign(made, key_, ::EVP_sha256()) > 0);
    return made;
  }
  static void extend(X509& certificate, int nid, const char* value) {
    X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    CHECK(extension != nullptr);
    ::X509_add_ext(&certificate, extension, -1);
    ::X509_EXTENSION_free(extension);
  }
  static void write(const std::string& prefix, X509& certificate, EVP_PKEY& key) {
    BIO* file = ::BIO_new_file((prefix + ".pem").c_str(), "w");
    CHECK(file != nullptr && ::PEM_write_bio_X509(file, &certificate) == 1);
    ::BIO_free(file);
    file = ::BIO_new_file((prefix + ".key").c_str(), "w");
    CHECK(file != nullptr &&
          ::PEM_write_bio_PrivateKey(file, &key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    ::BIO_free(file);
  }

  long serial_ = 0;
  EVP_PKEY* key_ = nullptr;
  X509* certificate_ = nullptr;
};

}  // namespace shoal::rpc
