// Runs the Chromium that all tests share, until its input ends, and says where it is reached.
import { once } from 'node:events';
import puppeteer from 'puppeteer-core';

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
});
console.log(browser.wsEndpoint());
process.stdin.resume();
await once(process.stdin, 'end');
await browser.close();
