/** Loaded before all else: what is too old says so, in place of whatever it would stumble over. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`pop needs Node 22.19 or later, and runs on ${process.versions.node}.`);
  process.exit(2);
}
