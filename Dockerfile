# One image for controller and agent: `fleetgram start` and `fleetgram agent`.
FROM node:24-slim AS build
WORKDIR /src
# ca-certificates: Xray is fetched over HTTPS, and its checksum verified.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build -- --with-xray

FROM node:24-slim
ENV NODE_ENV=production \
    FLEETGRAM_DATABASE=/data/fleetgram.db \
    FLEETGRAM_AGENT_DATA=/data/agent \
    FLEETGRAM_LOCAL_KEEP_XRAY=false \
    FLEETGRAM_AGENT_KEEP_XRAY=false
COPY --from=build /src/dist /opt/fleetgram
RUN ln -s /opt/fleetgram/fleetgram /usr/local/bin/fleetgram \
 && install -d -o node -g node -m 0700 /data
# An ordinary user: nothing here needs root.
USER node
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["fleetgram"]
CMD ["start"]
