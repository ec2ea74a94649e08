// relabel.js DIR LABEL HOW - makes the release in DIR call itself LABEL and gives it a migration.
// DIR consists of hard links: a file is replaced, never written into.
'use strict';

const fs = require('fs');
const path = require('path');

const [dir, label, how] = process.argv.slice(2);
const scope = path.join(dir, 'node_modules', '@nocobase');

function replace(file, text) {
	fs.rmSync(file, { force: true });
	fs.writeFileSync(file, text);
}

function edit(file, change) {
	const json = JSON.parse(fs.readFileSync(file, 'utf8'));
	change(json);
	replace(file, JSON.stringify(json, null, 2));
}

for (const name of fs.readdirSync(scope)) {
	const file = path.join(scope, name, 'package.json');
	if (name.startsWith('license-kit') || !fs.existsSync(file))
		continue; // those have versions of their own
	edit(file, (json) => {
		const old = json.version;
		json.version = label;
		for (const kind of ['dependencies', 'peerDependencies']) {
			const wanted = json[kind] || {};
			for (const other of Object.keys(wanted))
				if (other.startsWith('@nocobase/') && wanted[other] === old)
					wanted[other] = label;
		}
	});
}
edit(path.join(dir, 'package.json'), (json) => {
	json.dependencies['@nocobase/app'] = label;
});

// What it writes before it fails stays, as with a real one: NocoBase puts no transaction around it.
const slow = how.startsWith('slow:') ? Number(how.slice('slow:'.length)) : 0;
const body = [
	'await this.db.sequelize.query("create table if not exists fermata_test (release text)");',
	`await this.db.sequelize.query("insert into fermata_test values ('${label}')");`,
	slow ? `await new Promise((done) => setTimeout(done, ${slow * 1000}));` : '',
	how === 'fail' ? 'throw new Error("this test migration always fails");' : '',
].filter(Boolean).join('\n\t\t');

replace(path.join(scope, 'server', 'lib', 'migrations', `20990101000000-fermata-${label}.js`),
`'use strict';
Object.defineProperty(exports, '__esModule', { value: true });
const { Migration } = require('../migration');
exports.default = class extends Migration {
	constructor() {
		super(...arguments);
		this.on = 'afterSync';
		this.appVersion = '<${label}';
	}
	async up() {
		${body}
	}
};
`);
