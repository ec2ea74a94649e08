# The release FERMATA_VERSION of NocoBase into the folder FERMATA_RELEASE_DIR, as NocoBase documents it
# for npm. Downloads are kept in FERMATA_CACHE and used again. The registry is npm's own setting.
set -eu
cache=$FERMATA_CACHE
export npm_config_cache="$cache/npm" YARN_CACHE_FOLDER="$cache/yarn"
export PUPPETEER_SKIP_DOWNLOAD=1 PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
mkdir -p "$cache"
command -v npm >/dev/null || { echo "npm is not installed on this node" >&2; exit 1; }
if ! command -v yarn >/dev/null; then
	echo "getting yarn"
	npm install --global --prefix "$cache/tools" yarn@1.22.22 >/dev/null
	PATH="$cache/tools/bin:$PATH"
fi
echo "getting the application's skeleton"
cd "$(dirname "$FERMATA_RELEASE_DIR")"
npx -y "create-nocobase-app@$FERMATA_VERSION" "$(basename "$FERMATA_RELEASE_DIR")" \
	--empty-key --skip-dev-dependencies -a -e APP_ENV=production
cd "$FERMATA_RELEASE_DIR"
# nocobase: one dependency is a tarball outside npm; the same package is on npm.
node -e 'const f = "./package.json", p = require(f);
p.resolutions = Object.assign({}, p.resolutions, { xlsx: "0.18.5" });
require("fs").writeFileSync(f, JSON.stringify(p, null, 2))'
echo "getting the packages"
# yarn does not read npm's registry by itself.
yarn install --production --ignore-engines --network-timeout 600000 --non-interactive \
	--registry "$(npm config get registry)"
