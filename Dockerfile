# A static Locum on an image without a shell. Build and run:
#
#   docker build -t locum .
#   docker run -p 8080:8080 -v ./locum:/etc/locum:ro -v locum-state:/var/lib/locum locum
#
# The folder ./locum holds locum.toml and the key files that `locum init` writes; they must be readable
# by uid 65532. Anything that changes (the embedded store, the admin socket) belongs in /var/lib/locum,
# so say there `[store] url = "sqlite:/var/lib/locum/locum.db"` and `[admin] socket = "/var/lib/locum/locum.sock"`.
# Administration from the host:  docker exec CONTAINER locum person list

FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base cmake perl linux-headers
WORKDIR /src
# The image's own toolchain, whatever components rust-toolchain.toml asks for on a developer's machine.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
# musl is the image's own target and links statically; `dist` is the profile for shipping.
RUN cargo build --locked --profile dist --bin locum \
 && install -D -m 0755 target/dist/locum /out/usr/bin/locum \
 && install -d -o 65532 -g 65532 -m 0750 /out/var/lib/locum

FROM gcr.io/distroless/static:nonroot
COPY --from=build /out/usr/bin/locum /usr/bin/locum
COPY --from=build --chown=65532:65532 /out/var/lib/locum /var/lib/locum
USER 65532:65532
WORKDIR /var/lib/locum
# The default listens on loopback, which in a container nobody reaches.
ENV LOCUM__SERVER__LISTEN=0.0.0.0:8080 \
    LOCUM_ADMIN_SOCKET=/var/lib/locum/locum.sock
EXPOSE 8080
VOLUME /var/lib/locum
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/usr/bin/locum", "healthcheck"]
ENTRYPOINT ["/usr/bin/locum"]
CMD ["serve", "--config", "/etc/locum/locum.toml"]
