# One file, a target per image:
#   docker build --target operator -t wsfleet/operator:dev .
#   docker build --target gateway  -t wsfleet/gateway:dev  .
# Static binaries on a base without shell or package manager, run as a user who owns nothing.
# Multi-arch: docker buildx build --platform linux/amd64,linux/arm64 --target gateway .
ARG GO_VERSION=1.26
ARG BASE=gcr.io/distroless/static-debian12:nonroot

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY gateway gateway
COPY internal internal
ENV CGO_ENABLED=0
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/wsfleet-operator ./cmd/operator && \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/wsfleet-gateway ./cmd/gateway

FROM ${BASE} AS operator
COPY --from=build /out/wsfleet-operator /wsfleet-operator
USER 65532:65532
ENTRYPOINT ["/wsfleet-operator"]

FROM ${BASE} AS gateway
COPY --from=build /out/wsfleet-gateway /wsfleet-gateway
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/wsfleet-gateway"]
